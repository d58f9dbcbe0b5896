"""Restarts of every worker in turn, of both sorts: one that is replaced, and one that is stopped and started."""

import asyncio
import itertools
import random
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from benchmarks.ours import ORDERFLOW, free_port
from contracts.registry import WORKERS

REPLACED = "replaced"
"""A second worker is ready before the first is stopped; the same again for the way back."""
STOPPED = "stopped and started"
_READY_SECONDS = 60.0
_COMMAND_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Restart:
    """Moments are Unix times in seconds."""

    service: str
    sort: str
    began: float
    ended: float


class Restarts:
    def __init__(self, environment: Mapping[str, str], temporal_address: str) -> None:
        self._environment = dict(environment)
        self._worker_environment = self._environment | {
            "TEMPORAL_ADDRESS": temporal_address,
            "ORDERFLOW_LOG_FORMAT": "none",
        }
        self.done: list[Restart] = []

    async def run(self, seconds: float) -> None:
        """Restart one after the other for so long. Raises RuntimeError when one does not stop or start."""
        until = time.monotonic() + seconds
        for sort, service in itertools.cycle(itertools.product((REPLACED, STOPPED), WORKERS)):
            if time.monotonic() >= until:
                return
            began = time.time()
            if sort == REPLACED:
                await self._replace(service.name)
            else:
                await self._stop_and_start(service.name)
            self.done.append(Restart(service.name, sort, began, time.time()))
            await asyncio.sleep(random.uniform(0, 3))

    async def _stop_and_start(self, service: str) -> None:
        await self._orderflow("stop", service)
        await self._orderflow("start", service)

    async def _replace(self, service: str) -> None:
        async with self._second(service):
            await self._orderflow("stop", service)
            await asyncio.sleep(random.uniform(0, 10))
            await self._orderflow("start", service)

    @asynccontextmanager
    async def _second(self, service: str) -> AsyncIterator[None]:
        """Another worker of the service, ready; ended by SIGTERM."""
        port = free_port()
        environment = self._worker_environment | {"ORDERFLOW_HEALTH_PORT": str(port)}
        worker = await asyncio.create_subprocess_exec(
            *(str(ORDERFLOW), "worker", service), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            await _ready(f"http://127.0.0.1:{port}/readyz", worker)
            yield
        finally:
            if worker.returncode is None:
                worker.terminate()
            try:
                async with asyncio.timeout(30):
                    await worker.wait()
            except TimeoutError:
                worker.kill()
                await worker.wait()

    async def _orderflow(self, *arguments: str) -> None:
        command = await asyncio.create_subprocess_exec(
            *(str(ORDERFLOW), *arguments),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        async with asyncio.timeout(_COMMAND_SECONDS):
            said, _ = await command.communicate()
        if command.returncode:
            raise RuntimeError(f"orderflow {' '.join(arguments)}: {said.decode()}")


async def _ready(url: str, worker: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_READY_SECONDS), httpx.AsyncClient(trust_env=False) as http:
        while True:
            if worker.returncode is not None:
                raise RuntimeError(f"a worker ended with {worker.returncode}")
            try:
                if (await http.get(url)).is_success:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
