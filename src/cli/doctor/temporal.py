"""Asking the Temporal server, and listening to the workers' heartbeats."""

import asyncio
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType, WorkerStatus
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    ListWorkersRequest,
    PollActivityTaskQueueRequest,
)
from temporalio.client import Client
from temporalio.envconfig import ClientConnectConfig
from temporalio.service import RPCError, RPCStatusCode

from cli.doctor.facts import Ahead, Kind, Poller, Temporal, Trouble, Worker
from contracts.registry import WORKERS
from service.temporal import HEARTBEAT_SECONDS
from service.worker import DEPLOYMENT

_ANSWER = timedelta(seconds=5)
_LISTEN_SECONDS = 1.5 * HEARTBEAT_SECONDS
_LOOK_EVERY_SECONDS = 0.2
"""How often the newest heartbeats are read: their sending is known to within this."""
_FRESH_SECONDS = 3 * HEARTBEAT_SECONDS
_OWN_QUEUE = "orderflow-doctor"
_KINDS = {
    Kind.WORKFLOWS: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    Kind.ACTIVITIES: TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}
_TROUBLES = {
    RPCStatusCode.NOT_FOUND: Trouble.NO_NAMESPACE,
    RPCStatusCode.PERMISSION_DENIED: Trouble.REFUSED,
    RPCStatusCode.UNAUTHENTICATED: Trouble.REFUSED,
}


async def ask(config: ClientConnectConfig) -> Temporal:
    """What the server knows; takes as long as it takes to hear each worker once."""
    address, namespace = config.get("target_host", ""), config.get("namespace", "default")
    try:
        async with asyncio.timeout(_ANSWER.total_seconds()):
            client = await Client.connect(**config, identity=f"doctor:{os.getpid()}@{socket.gethostname()}")
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=namespace), timeout=_ANSWER)
        workers, ahead = await asyncio.gather(_Listening(client).workers(), _server_ahead(client))
        return Temporal(
            address,
            namespace,
            workers=workers,
            pollers={one.task_queue: await _pollers(client, one.task_queue) for one in WORKERS if one.task_queue},
            search_attributes=await _search_attributes(client),
            ahead=ahead,
        )
    except RPCError as error:
        return Temporal(address, namespace, _TROUBLES.get(error.status, Trouble.UNREACHABLE), _reason(error))
    except (RuntimeError, TimeoutError) as error:  # A first connection fails as RuntimeError.
        return Temporal(address, namespace, Trouble.UNREACHABLE, _reason(error))


@dataclass(frozen=True, slots=True)
class _Heard:
    """A worker's newest heartbeat, and how its clock is to ours once a new one came while we listened."""

    beat: WorkerHeartbeat
    ahead: Ahead | None = None


class _Listening:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._heard: dict[str, _Heard] = {}
        self._looked_seconds: float | None = None

    async def workers(self) -> tuple[Worker, ...]:
        """All that the server knows of, once each was heard or its time is up."""
        until = time.monotonic() + _LISTEN_SECONDS
        while True:
            await self._look()
            if time.monotonic() > until or all(heard.ahead or _stops(heard.beat) for heard in self._heard.values()):
                break
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        return tuple(sorted((_worker(heard) for heard in self._heard.values()), key=lambda one: one.identity))

    async def _look(self) -> None:
        began = time.time()
        beats = [beat async for beat in self._listed()]
        ended, before = time.time(), self._looked_seconds
        for beat in beats:
            known = self._heard.get(beat.worker_instance_key)
            if known is None or before is None:
                self._heard[beat.worker_instance_key] = _Heard(beat)
            elif known.beat.heartbeat_time != beat.heartbeat_time:
                # It was sent after the look before, which did not find it, and before this one's end.
                sent = _seconds(beat.heartbeat_time)
                self._heard[beat.worker_instance_key] = _Heard(beat, Ahead(sent - ended, sent - before))
        gone = self._heard.keys() - {beat.worker_instance_key for beat in beats}
        for key in gone:
            del self._heard[key]
        self._looked_seconds = began

    async def _listed(self) -> AsyncIterator[WorkerHeartbeat]:
        token = b""
        while True:
            request = ListWorkersRequest(namespace=self._client.namespace, page_size=1_000, next_page_token=token)
            page = await self._client.workflow_service.list_workers(request, timeout=_ANSWER)
            for info in page.workers_info:
                yield info.worker_heartbeat
            token = page.next_page_token
            if not token:
                return


def _stops(beat: WorkerHeartbeat) -> bool:
    return beat.status == WorkerStatus.WORKER_STATUS_SHUTTING_DOWN


def _worker(heard: _Heard) -> Worker:
    beat = heard.beat
    age_seconds = time.time() - _seconds(beat.heartbeat_time)
    return Worker(
        identity=beat.worker_identity,
        task_queue=beat.task_queue,
        sdk=f"{beat.sdk_name} {beat.sdk_version}",
        host=beat.host_info.host_name,
        version=beat.deployment_version.build_id if beat.deployment_version.deployment_name == DEPLOYMENT else None,
        is_live=not _stops(beat) and (heard.ahead is not None or abs(age_seconds) < _FRESH_SECONDS),
        ahead=heard.ahead,
    )


async def _pollers(client: Client, task_queue: str) -> tuple[Poller, ...]:
    found = []
    for kind, queue_type in _KINDS.items():
        for identity, at_seconds in await _polls(client, task_queue, queue_type):
            found.append(Poller(identity, kind, max(0.0, time.time() - at_seconds)))
    return tuple(found)


async def _polls(client: Client, task_queue: str, queue_type: TaskQueueType.ValueType) -> Sequence[tuple[str, float]]:
    """Each poller's identity, and when it last polled by the server's clock."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=queue_type
    )
    described = await client.workflow_service.describe_task_queue(request, timeout=_ANSWER)
    return [(poller.identity, _seconds(poller.last_access_time)) for poller in described.pollers]


async def _search_attributes(client: Client) -> dict[str, str] | None:
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace), timeout=_ANSWER
        )
    except RPCError:
        return None  # Not everybody may ask, and not every server answers this.
    prefix = "INDEXED_VALUE_TYPE_"
    return {
        name: IndexedValueType.Name(kind).removeprefix(prefix).title().replace("_", "")
        for name, kind in listed.custom_attributes.items()
    }


async def _server_ahead(client: Client) -> Ahead | None:
    """The server tells its time only by what it notes; here, of a poll of our own on a queue of our own."""
    async with _polling(client) as began:
        for _ in range(10):
            polls = [
                at for who, at in await _polls(client, _OWN_QUEUE, _KINDS[Kind.ACTIVITIES]) if who == client.identity
            ]
            ended = time.time()
            if polls:
                return Ahead(max(polls) - ended, max(polls) - began)
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
    return None


@asynccontextmanager
async def _polling(client: Client) -> AsyncIterator[float]:
    """Polls as long as the context lasts; gives when it began."""
    request = PollActivityTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=_OWN_QUEUE), identity=client.identity
    )
    began = time.time()
    poll = asyncio.ensure_future(
        client.workflow_service.poll_activity_task_queue(request, timeout=timedelta(seconds=60))
    )
    try:
        yield began
    finally:
        poll.cancel()
        with suppress(asyncio.CancelledError, RPCError):
            await poll


def _seconds(moment: Timestamp) -> float:
    return moment.ToDatetime(UTC).timestamp()


def _reason(error: Exception) -> str:
    """In one line. A refused connection is told with all the layers around it; the innermost is plain."""
    text = " ".join(str(error).split())
    innermost = re.search(r'message: "([^"]+)"', text)
    return innermost[1] if innermost else text or "no answer"
