"""Log lines: JSON in Elastic Common Schema, to stdout and to a file that a shipper tails, by a thread of their own."""

import atexit
import logging
import logging.handlers
import os
import queue
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import uuid_utils
from opentelemetry import trace
from pythonjsonlogger.json import JsonFormatter
from temporalio import activity, workflow

from contracts.orders import order_id_of
from telemetry import context, metrics, names
from telemetry.human import human
from telemetry.once import Once
from telemetry.redaction import NO_SECRETS, Secrets, message_of, redact, stack_trace

ECS_VERSION = "8.11.0"
VERSION = version("orderflow")
LogFormat = Literal["json", "human", "none"]
"""Of what goes to stdout; the file is always JSON."""

_MOST_WAITING = 20_000
"""Lines that may wait for the writer; more are dropped, and counted."""
_FILE_BYTES = 50_000_000
_FILES_KEPT = 3
# Our names for what the SDK's loggers attach to a record as nested dicts.
_TEMPORAL_FIELDS = {
    "workflow_id": names.WORKFLOW_ID,
    "workflow_run_id": names.RUN_ID,
    "run_id": names.RUN_ID,
    "workflow_type": names.WORKFLOW_TYPE,
    "activity_type": names.ACTIVITY_TYPE,
    "task_queue": names.TASK_QUEUE,
    "attempt": names.ATTEMPT,
}
# Made by ourselves, and never anyone's data: looking through them would now and then take an id for a card number.
_TRUSTED = frozenset(
    {
        names.ORDER_ID,
        names.STEP,
        names.OUTCOME,
        names.REASON,
        names.EVENT_ACTION,
        names.DURATION,
        names.NEXT_TRY_SECONDS,
        *_TEMPORAL_FIELDS.values(),
    }
)


class EcsFormatter(JsonFormatter):
    """One ECS object a line. Of a record's extras only those with a dotted name get in: never a whole object."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = {
            "service.name": service,
            "service.version": VERSION,
            "event.dataset": f"orderflow.{service}",
        }

    def format(self, record: logging.LogRecord) -> str:
        # Once for stdout, the file, and the file's look whether it is full.
        made: str | None = getattr(record, "telemetry_text", None)
        if made is None:
            made = record.telemetry_text = self.serialize_log_record(self.line(record))
        return made

    def line(self, record: logging.LogRecord) -> dict[str, Any]:
        """Made once as well: in whichever form it is written, it is the same event with the same id."""
        made: dict[str, Any] | None = getattr(record, "telemetry_line", None)
        if made is None:
            made = record.telemetry_line = self._make(record)
        return made

    def _make(self, record: logging.LogRecord) -> dict[str, Any]:
        secrets: Secrets = getattr(record, "telemetry_secrets", NO_SECRETS)
        written = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "@timestamp": written.replace("+00:00", "Z"),
            "log.level": record.levelname.lower(),
            "message": redact(_message(record), secrets),
            "ecs.version": ECS_VERSION,
            # Time-ordered (UUIDv7), and the document id by which a line that is shipped twice is stored once.
            "event.id": str(uuid_utils.uuid7()),
            "log.logger": record.name,
            **self._service,
        }
        for name, value in _extras(record):
            line[name] = value if name in _TRUSTED else _told(value, secrets)
        span: trace.SpanContext | None = getattr(record, "telemetry_span", None)
        if span is not None and span.is_valid:
            line["trace.id"] = trace.format_trace_id(span.trace_id)
            line["span.id"] = trace.format_span_id(span.span_id)
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line[names.ERROR_TYPE] = type(error).__qualname__
            line[names.ERROR_MESSAGE] = redact(message_of(error), secrets)
            line["error.stack_trace"] = redact(stack_trace(error, record.exc_info[2]), secrets)
        return line


class HumanFormatter(EcsFormatter):
    """The same lines, for the eyes of who started the process."""

    def __init__(self, service: str, *, color: bool) -> None:
        super().__init__(service)
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        return human(self.line(record), color=self._color)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit, or have no text
        return f"{record.msg} (with arguments that can't be told)"


def _told(value: Any, secrets: Secrets) -> str | int | float:
    """A field's value: as it is, or as text where that is not plain or hides something."""
    text = str(value)
    clean = redact(text, secrets)
    return value if clean == text and isinstance(value, bool | int | float) else clean


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    yield from getattr(record, "telemetry_fields", {}).items()
    for name, value in vars(record).items():
        if "." in name:
            yield name, value
        elif name in ("temporal_workflow", "temporal_activity") and isinstance(value, Mapping):
            for theirs, ours in _TEMPORAL_FIELDS.items():
                if value.get(theirs) is not None:
                    yield ours, value[theirs]
            if order_id := order_id_of(str(value.get("workflow_id", ""))):
                yield names.ORDER_ID, order_id


class _OncePerRun(logging.Filter):
    """A workflow's lines are its events, each of which comes once a run: see `telemetry.once`."""

    def __init__(self) -> None:
        super().__init__()
        self._told = Once()

    def filter(self, record: logging.LogRecord) -> bool:
        run = getattr(record, "temporal_workflow", {}).get("run_id")
        return run is None or self._told.is_new((run, record.levelno, _message(record)))


class _Enqueue(logging.handlers.QueueHandler):
    """Notes who speaks, and hands the record to the writer: a thread of this process, so nothing has to be pickled."""

    queue: "queue.Queue[logging.LogRecord]"

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # Known here only: the writer is another thread.
        record.telemetry_span = trace.get_current_span().get_span_context()
        record.telemetry_fields = context.fields()
        record.telemetry_secrets = context.secrets()
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            metrics.LOG_LINES_DROPPED.add(1)


class _Stdout(logging.Handler):
    """Writes past the buffer of `sys.stdout`: a reader that no longer reads holds up the writer's thread, but no lock
    that the process's end would wait for."""

    def createLock(self) -> None:  # noqa: N802 - logging's name
        self.lock = None  # One thread writes.

    def emit(self, record: logging.LogRecord) -> None:
        try:
            left = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
            while left:
                left = left[os.write(sys.stdout.fileno(), left) :]
        except Exception:  # noqa: BLE001 - as every handler
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - logging's names
        metrics.LOG_LINES_DROPPED.add(1)


class _File(logging.handlers.RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - logging's names
        """Logging's own would print the record, as it was given, to stderr."""
        metrics.LOG_LINES_DROPPED.add(1)


class _Writer(logging.handlers.QueueListener):
    """Ends in time: at the process's end it is given a moment for what waits, and no more."""

    def stop_within(self, seconds: float) -> None:
        if self._thread is None:
            return
        try:
            self.queue.put(None, timeout=seconds)  # type: ignore[attr-defined]
        except queue.Full:
            return
        self._thread.join(seconds)
        self._thread = None


def configure(
    service: str,
    folder: Path,
    log_format: LogFormat = "json",
    level: int = logging.INFO,
) -> None:
    """Send every log line of this process to stdout, and as JSON to `folder`. Called once, at the start."""
    # The fields travel as fields; the SDK need not repeat them in the text.
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False
    workflow.logger.base_logger.addFilter(_OncePerRun())
    # Told by our own activity interceptor, with what comes next.
    activity.logger.base_logger.addFilter(lambda record: not hasattr(record, "__temporal_error_identifier"))

    folder.mkdir(parents=True, exist_ok=True)
    to_file = _File(folder / f"{service}.jsonl", maxBytes=_FILE_BYTES, backupCount=_FILES_KEPT, encoding="utf-8")
    to_file.setFormatter(EcsFormatter(service))
    handlers: list[logging.Handler] = [to_file]
    if log_format != "none":
        to_stdout = _Stdout()
        to_stdout.setFormatter(
            HumanFormatter(service, color=sys.stdout.isatty()) if log_format == "human" else EcsFormatter(service)
        )
        handlers.append(to_stdout)

    lines: queue.Queue[logging.LogRecord] = queue.Queue(_MOST_WAITING)
    writer = _Writer(lines, *handlers)
    writer.start()
    atexit.register(writer.stop_within, 5.0)
    logging.basicConfig(level=level, handlers=[_Enqueue(lines)], force=True)
    for chatty in ("httpx", "httpcore", "alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Each try of each batch would be a line, for as long as a back end is away; a batch that is lost is still told.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)
    _take_over_what_is_printed()


def _take_over_what_is_printed() -> None:
    """Warnings and uncaught exceptions become lines as well."""
    log = logging.getLogger("python")

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("uncaught exception", exc_info=(kind, error, trace))

    def uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            log.critical("uncaught exception", exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    def ignored(args: "sys.UnraisableHookArgs") -> None:
        if args.exc_value is not None:
            log.error("ignored exception", exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    sys.excepthook = uncaught
    sys.unraisablehook = ignored
    threading.excepthook = uncaught_in_thread
    logging.captureWarnings(True)
    warnings.formatwarning = _warning_line


def _warning_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,  # noqa: ARG001 - the source line; a warning's text is enough
) -> str:
    return f"{category.__name__}: {message} ({filename}:{lineno})"
