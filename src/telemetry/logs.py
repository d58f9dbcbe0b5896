"""JSON log lines in Elastic Common Schema, on stdout, written by a thread of their own."""

import atexit
import logging
import logging.handlers
import queue
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter
from temporalio import activity, workflow

ECS_VERSION = "8.11.0"

_ORDER_PREFIX = "order-"
# Our names for what the SDK's loggers attach to a record as nested dicts.
_TEMPORAL_FIELDS = {
    "workflow_id": "temporal.workflow_id",
    "workflow_run_id": "temporal.run_id",
    "run_id": "temporal.run_id",
    "workflow_type": "temporal.workflow_type",
    "activity_type": "temporal.activity_type",
    "task_queue": "temporal.task_queue",
    "attempt": "temporal.attempt",
}


class EcsFormatter(JsonFormatter):
    """One ECS object a line. Of a record's extras only those with a dotted name get in: never a whole object."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        written = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "@timestamp": written.replace("+00:00", "Z"),
            "log.level": record.levelname.lower(),
            "message": record.getMessage(),
            "ecs.version": ECS_VERSION,
            "log.logger": record.name,
            "service.name": self._service,
            "event.dataset": f"orderflow.{self._service}",
            **dict(_extras(record)),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error.type"] = record.exc_info[0].__name__
            line["error.stack_trace"] = self.formatException(record.exc_info)
        return self.serialize_log_record(line)


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    for name, value in vars(record).items():
        if "." in name:
            yield name, value
        elif name in ("temporal_workflow", "temporal_activity") and isinstance(value, Mapping):
            for theirs, ours in _TEMPORAL_FIELDS.items():
                if value.get(theirs) is not None:
                    yield ours, value[theirs]
            workflow_id = str(value.get("workflow_id", ""))
            if workflow_id.startswith(_ORDER_PREFIX):
                yield "order.id", workflow_id.removeprefix(_ORDER_PREFIX)


def configure(service: str, level: int = logging.INFO) -> None:
    """Send every log line of this process to stdout as JSON. Called once, in the composition root."""
    # The fields travel as fields; the SDK need not repeat them in the text.
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False

    to_stdout = logging.StreamHandler(sys.stdout)
    to_stdout.setFormatter(EcsFormatter(service))
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    writer = logging.handlers.QueueListener(lines, to_stdout)
    writer.start()
    atexit.register(writer.stop)
    logging.basicConfig(level=level, handlers=[_Enqueue(lines)], force=True)
    logging.captureWarnings(True)
    for chatty in ("httpx", "httpcore", "alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _Enqueue(logging.handlers.QueueHandler):
    """Hands a record over as it is: the writer is a thread of the same process, so nothing has to be pickled."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record
