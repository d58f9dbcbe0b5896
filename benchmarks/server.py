"""The platform's Temporal server alone, with its own metrics."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from benchmarks.ours import clean_environment, free_port, free_ports
from cli.platform import PlatformSettings, programs

_READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    address: str
    metrics_url: str
    pid: int


@contextmanager
def running_temporal(folder: Path) -> Iterator[Server]:
    """As `orderflow up` starts it, on free ports."""
    ports = {name.removeprefix("ORDERFLOW_").lower(): int(port) for name, port in free_ports(folder).items()}
    settings = PlatformSettings(data_dir=folder, **ports)  # type: ignore[arg-type]
    program, metrics_port = programs(settings)[0], free_port()
    with (folder / "temporal.log").open("wb") as log:
        process = subprocess.Popen(
            [*program.command, "--metrics-port", str(metrics_port)],
            env=clean_environment() | dict(program.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        address = f"127.0.0.1:{settings.temporal_port}"
        asyncio.run(_until_ready(address))
        yield Server(address, f"http://127.0.0.1:{metrics_port}/metrics", process.pid)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _until_ready(address: str) -> None:
    async with asyncio.timeout(_READY_SECONDS):
        while True:
            try:
                await Client.connect(address)
            except RuntimeError:
                await asyncio.sleep(0.2)
            else:
                return
