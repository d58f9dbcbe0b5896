"""A worker's health, judged by what the Temporal server saw of it.

A process can be alive while its polling is dead, and then looks well to itself. So its own word does not count.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ListWorkersRequest
from temporalio.client import Client
from temporalio.service import RPCError

from service.temporal import HEARTBEAT_SECONDS

# A long poll lasts up to 60 s, so a live worker's last access is up to that old.
STALE_POLL_SECONDS = 90.0
STALE_HEARTBEAT_SECONDS = 3 * HEARTBEAT_SECONDS


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the server knows of one worker process; ages in seconds, None for never seen."""

    poll_age_seconds: float | None
    heartbeat_age_seconds: float | None
    free_slots: int | None
    """A worker with all slots taken rightly does not poll."""


def problems(seen: Sighting) -> list[str]:
    """What is wrong with a worker; nothing when it is well."""
    found = []
    busy = seen.free_slots == 0
    if seen.poll_age_seconds is None:
        found.append("the Temporal server has not seen this worker poll its task queue")
    elif seen.poll_age_seconds > STALE_POLL_SECONDS and not busy:
        found.append(f"last poll {seen.poll_age_seconds:.0f} s ago, though there are free slots")
    # A worker that has just begun to poll has not sent a heartbeat yet.
    if seen.heartbeat_age_seconds is not None and seen.heartbeat_age_seconds > STALE_HEARTBEAT_SECONDS:
        found.append(f"last heartbeat {seen.heartbeat_age_seconds:.0f} s ago")
    return found


async def look(client: Client, task_queue: str, queue_type: TaskQueueType.ValueType) -> Sighting:
    """Ask the server what it saw of this client's worker. Raises RPCError when it can't be asked."""
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=queue_type
        ),
        timeout=timedelta(seconds=2),
    )
    polls = [p.last_access_time for p in described.pollers if p.identity == client.identity]
    listed = await client.workflow_service.list_workers(
        ListWorkersRequest(namespace=client.namespace, page_size=1, query=f"WorkerIdentity = '{client.identity}'"),
        timeout=timedelta(seconds=2),
    )
    beats = [worker.worker_heartbeat for worker in listed.workers_info]
    by_workflow = queue_type == TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    slots = [b.workflow_task_slots_info if by_workflow else b.activity_task_slots_info for b in beats]
    return Sighting(
        poll_age_seconds=min(map(_age_seconds, polls), default=None),
        heartbeat_age_seconds=min((_age_seconds(b.heartbeat_time) for b in beats), default=None),
        free_slots=min((s.current_available_slots for s in slots), default=None),
    )


async def complaints(client: Client, task_queue: str, queue_type: TaskQueueType.ValueType) -> list[str]:
    """`problems` of this client's worker, or that the server can't be asked."""
    try:
        return problems(await look(client, task_queue, queue_type))
    except RPCError as error:
        return [f"the Temporal server can't be asked: {error.message}"]


def _age_seconds(moment: Timestamp) -> float:
    return (datetime.now(UTC) - moment.ToDatetime(UTC)).total_seconds()
