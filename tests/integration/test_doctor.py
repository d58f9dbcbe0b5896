"""`orderflow doctor` as a process, against a real Temporal server and real workers where they should not be."""

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import temporalio.service
from temporalio import activity, workflow
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat, WorkerHostInfo
from temporalio.api.workflowservice.v1 import ListWorkersRequest, RecordWorkerHeartbeatRequest
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig

from contracts.registry import WORKERS
from tests.support.eventually import eventually_async
from tests.support.http_api import served
from tests.support.monitor_http import answering, queues
from tests.support.platform import ORDERFLOW
from tests.support.ports import free_health_offset, free_port
from tests.support.temporal import temporal_server

OURS = {service.name: f"{service.name}:{number}@here" for number, service in enumerate(WORKERS, 100)}


@activity.defn
async def nothing() -> None: ...


@workflow.defn
class Nothing:
    @workflow.run
    async def run(self) -> None: ...


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Client]:
    """Of its own: the workers that come and go here are listed for five minutes."""
    async with temporal_server() as client:
        yield client


class Doctor:
    """The command, in a process and a data folder of its own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    async def __call__(self, **changes: str) -> tuple[int | None, dict[str, Any]]:
        """Its exit status, and what it told as JSON; `changes` are further environment variables."""
        status, out = await self.say("--json", **changes)
        return status, json.loads(out)

    async def say(self, *arguments: str, **changes: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            ORDERFLOW, "doctor", *arguments, stdout=-1, env=dict(self._environment) | changes
        )
        out, _ = await process.communicate()
        return process.returncode, out.decode()


@pytest.fixture
async def doctor(server: Client, tmp_path: Path) -> AsyncIterator[Doctor]:
    """With a real API, and a queue monitor to which all looks well."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("ORDERFLOW_", "TEMPORAL_"))}
    async with answering(lambda: queues().model_dump_json()) as monitor, served(server, monitor_url=monitor) as api:
        yield Doctor(
            others
            | {
                "TEMPORAL_ADDRESS": server.service_client.config.target_host,
                "ORDERFLOW_API_URL": str(api.base_url),
                "ORDERFLOW_MONITOR_URL": monitor,
                "ORDERFLOW_DATA_DIR": str(tmp_path),
            }
        )


def runtime(heartbeat_seconds: float | None) -> Runtime:
    interval = timedelta(seconds=heartbeat_seconds) if heartbeat_seconds else None
    return Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=interval)


@asynccontextmanager
async def worker(
    server: Client,
    identity: str,
    task_queue: str,
    *,
    activities: bool = True,
    workflows: bool = False,
    heartbeats: bool = True,
    version: str | None = None,
) -> AsyncIterator[None]:
    client = await Client.connect(
        server.service_client.config.target_host, identity=identity, runtime=runtime(1.0 if heartbeats else None)
    )
    deployment = WorkerDeploymentVersion("orderflow", version) if version else None
    async with Worker(
        client,
        task_queue=task_queue,
        activities=[nothing] if activities else [],
        workflows=[Nothing] if workflows else [],
        workflow_runner=UnsandboxedWorkflowRunner(),
        deployment_config=WorkerDeploymentConfig(deployment, use_worker_versioning=False) if deployment else None,
    ):
        if heartbeats:
            await eventually_async(lambda: is_heard_of(server, identity))
        yield


async def is_heard_of(server: Client, identity: str) -> bool:
    """Whether a heartbeat has come of a worker so called that runs; one that has ended may have borne the name."""
    listed = await server.workflow_service.list_workers(ListWorkersRequest(namespace=server.namespace, page_size=100))
    beats = [one.worker_heartbeat for one in listed.workers_info]
    running = WorkerStatus.WORKER_STATUS_RUNNING
    return any(beat.worker_identity == identity and beat.status == running for beat in beats)


@asynccontextmanager
async def all_but(server: Client, *missing: str) -> AsyncIterator[None]:
    """A worker for each service that has a queue, as the platform has them, but for those missing."""
    async with AsyncExitStack() as stack:
        for service in WORKERS:
            if service.name not in missing and service.task_queue is not None:
                await stack.enter_async_context(
                    worker(server, OURS[service.name], service.task_queue, workflows=service.step is None)
                )
        yield


def kinds(told: Mapping[str, Any]) -> list[str]:
    return [finding["kind"] for finding in told["findings"]]


async def test_all_well(server: Client, doctor: Doctor) -> None:
    """With every queue served the doctor finds nothing, says what it looked at, and ends with 0."""
    async with all_but(server):
        status, told = await doctor()
        said, text = await doctor.say()
    assert told["findings"] == []
    assert (status, said) == (0, 0)
    assert any("clocks: the server, 5 of 5 workers" in line for line in told["looked_at"])
    assert "Nothing is wrong." in text


async def test_a_typo(server: Client, doctor: Doctor) -> None:
    """A worker on a misspelt queue is found with the queue it means, as is the queue that nobody polls."""
    async with all_but(server, "shipping"), worker(server, "shipping:7@here", "shiping"):
        status, told = await doctor()
        _, text = await doctor.say()
    assert status == 1
    assert sorted(kinds(told)) == ["no-worker", "unknown-queue"]
    typo = next(one for one in told["findings"] if one["kind"] == "unknown-queue")
    assert "did it mean shipping?" in typo["what"]
    assert "orderflow start shipping" in text


async def test_two_services_on_one_queue(server: Client, doctor: Doctor) -> None:
    """A second service on a queue is named, with the process to stop."""
    async with all_but(server), worker(server, "payment:78@here", "inventory"):
        status, told = await doctor()
    [finding] = told["findings"]
    assert (status, finding["kind"], finding["severity"]) == (1, "two-services", "error")
    assert "stop process 78 on here" in finding["cure"]


async def test_the_order_queue_polled_for_activities_only(server: Client, doctor: Doctor) -> None:
    """A workflow queue whose worker has no workflows is an error: orders would wait for ever."""
    async with all_but(server, "order"), worker(server, "order:79@here", "order"):
        status, told = await doctor()
    assert (status, kinds(told)) == (1, ["kind-unpolled"])
    assert "workflows" in told["findings"][0]["what"]


async def test_a_worker_without_heartbeats(server: Client, doctor: Doctor) -> None:
    """A worker that the monitor can't see is a warning, and warnings do not fail."""
    async with all_but(server, "payment"), worker(server, "payment:80@here", "payment", heartbeats=False):
        status, told = await doctor()
    assert (status, kinds(told)) == (0, ["no-heartbeats"])


async def test_another_version(server: Client, doctor: Doctor) -> None:
    """A worker of another version of orderflow is told with its version."""
    async with all_but(server, "payment"), worker(server, "payment:81@here", "payment", version="0.0.1"):
        status, told = await doctor()
    assert (status, kinds(told)) == (0, ["versions"])
    assert "0.0.1 (payment:81@here)" in told["findings"][0]["what"]


async def test_no_temporal(doctor: Doctor) -> None:
    """Where no server listens that is the error, in one line, and not what follows from it."""
    status, told = await doctor(TEMPORAL_ADDRESS=f"127.0.0.1:{free_port()}")
    assert (status, kinds(told)) == (1, ["temporal-unreachable"])
    assert "Connection refused" in told["findings"][0]["what"]


async def test_a_silent_server_is_not_waited_for(doctor: Doctor) -> None:
    """A server that takes connections and never answers is unreachable, within seconds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        status, told = await doctor(TEMPORAL_ADDRESS=f"127.0.0.1:{silent.getsockname()[1]}")
    assert (status, kinds(told)) == (1, ["temporal-unreachable"])
    assert time.monotonic() - began < 30


async def test_no_namespace(doctor: Doctor) -> None:
    """A namespace that the server does not have is named, with the command that makes it."""
    status, told = await doctor(TEMPORAL_NAMESPACE="elsewhere")
    assert (status, kinds(told)) == (1, ["namespace-missing"])
    assert "--namespace elsewhere" in told["findings"][0]["cure"]


async def test_a_wrong_setting_is_one_line(doctor: Doctor) -> None:
    """A setting that can't be used ends the doctor as it does any other command."""
    assert (await doctor.say(ORDERFLOW_TEMPORAL_PORT="abc"))[0] == 2


async def test_what_is_wrong_here(server: Client, doctor: Doctor, tmp_path: Path) -> None:
    """A data folder that can't be used, and an API and a monitor that don't answer, are told beside what is well."""
    (tmp_path / "file").touch()
    nobody = f"http://127.0.0.1:{free_port()}"
    async with all_but(server):
        status, told = await doctor(
            ORDERFLOW_DATA_DIR=str(tmp_path / "file"), ORDERFLOW_API_URL=nobody, ORDERFLOW_MONITOR_URL=nobody
        )
    assert status == 1
    assert kinds(told) == ["data-folder-not-writable", "api-unreachable", "monitor-unreachable"]


async def test_the_api_does_not_find_the_monitor(server: Client, doctor: Doctor) -> None:
    """An API that looks for the monitor in the wrong place is told, with the place."""
    async with all_but(server), served(server) as api:
        status, told = await doctor(ORDERFLOW_API_URL=str(api.base_url))
    assert (status, kinds(told)) == (1, ["api-without-monitor"])
    assert "ORDERFLOW_MONITOR_URL" in told["findings"][0]["cure"]


async def test_a_monitor_that_is_out_of_reach_speaks_through_the_api(server: Client, doctor: Doctor) -> None:
    """From a machine that reaches the API only, the monitor is well when the API says so."""
    async with all_but(server):
        status, told = await doctor(ORDERFLOW_MONITOR_URL=f"http://127.0.0.1:{free_port()}")
    assert (status, told["findings"]) == (0, [])


async def test_nothing_runs(tmp_path: Path) -> None:
    """On a machine where nothing runs there is one error, and the ports that are taken by others."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("ORDERFLOW_", "TEMPORAL_"))}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ui_port = str(taken.getsockname()[1])
        nobodys = {f"ORDERFLOW_{name}_PORT": str(free_port()) for name in ("API", "TEMPORAL", "TEMPORAL_HTTP")} | {
            "ORDERFLOW_TEMPORAL_UI_PORT": ui_port,
            "ORDERFLOW_HEALTH_PORT_OFFSET": str(free_health_offset()),
        }
        status, told = await Doctor(others | nobodys | {"ORDERFLOW_DATA_DIR": str(tmp_path / "data")})()
    assert (status, kinds(told)) == (1, ["nothing-runs", "port-taken"])
    assert ui_port in told["findings"][1]["what"]
    assert not (tmp_path / "data").exists()


# The last: the server lists its worker for five minutes, and the doctor would listen for it in vain.
async def test_a_clock_that_is_wrong(server: Client, doctor: Doctor) -> None:
    """A worker whose heartbeats come from the future by half a minute is told to the second, and counts as live."""

    async def beat() -> None:
        while True:
            beat = WorkerHeartbeat(
                worker_instance_key="fast-clock",
                worker_identity="payment:82@fast",
                host_info=WorkerHostInfo(host_name="fast"),
                task_queue="payment",
                sdk_name="temporal-python",
                sdk_version=temporalio.service.__version__,
                status=WorkerStatus.WORKER_STATUS_RUNNING,
            )
            beat.heartbeat_time.FromNanoseconds(time.time_ns() + 30_000_000_000)
            request = RecordWorkerHeartbeatRequest(namespace="default", worker_heartbeat=[beat])
            await server.workflow_service.record_worker_heartbeat(request)
            await asyncio.sleep(1)

    beating = asyncio.create_task(beat())
    async with all_but(server):
        status, told = await doctor()
    beating.cancel()
    [finding] = told["findings"]
    assert (status, finding["kind"]) == (0, "clock-skew")
    assert "fast is 30 s ahead" in finding["what"]
