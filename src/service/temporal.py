"""The connection to Temporal that every process makes in the same way."""

import asyncio
import logging
import os
import secrets
import socket

from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import Runtime
from temporalio.service import RPCError

from service.settings import SettingError
from telemetry.process import Telemetry

HEARTBEAT_SECONDS = 5.0
"""How often each worker process tells the server that it lives; judged by whoever watches (facts: 1 to 60 s)."""

_PAYLOADS = PydanticPayloadConverter()
# One for all: the SDK makes a converter for each workflow run, and each would build its type adapters anew.
DATA_CONVERTER = DataConverter(payload_converter_class=lambda: _PAYLOADS)  # type: ignore[arg-type]

_log = logging.getLogger(__name__)


async def connect(service: str, telemetry: Telemetry) -> Client:
    """Connect as TEMPORAL_* says, waiting for a server that is not up yet.

    `service` names the process to the server: see `identity`. Raises SettingError for unusable
    TEMPORAL_* settings.
    """
    runtime = telemetry.temporal_runtime(HEARTBEAT_SECONDS)
    while True:
        try:
            return await _client(service, telemetry, runtime, lazy=False)
        except (RPCError, RuntimeError) as error:
            _log.warning("Temporal is not reachable yet: %s", error)
            await asyncio.sleep(1)


async def lazy_client(service: str, telemetry: Telemetry) -> Client:
    """A client that connects at its first call, so that a process can answer without Temporal."""
    return await _client(service, telemetry, telemetry.temporal_runtime(HEARTBEAT_SECONDS), lazy=True)


def connect_config() -> ClientConnectConfig:
    """What TEMPORAL_* and Temporal's configuration file say. Raises SettingError for what can't be used."""
    try:
        return ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise SettingError(f"TEMPORAL_* settings: {error}") from None


def identity(service: str) -> str:
    """A name for this process that no other ever had, its predecessor in the same container included.

    There the process id and the host are the same after each restart, and the server remembers the dead for minutes:
    its last heartbeat would be taken for this one's.
    """
    return f"{service}:{os.getpid()}@{socket.gethostname()}#{secrets.token_hex(3)}"


async def _client(service: str, telemetry: Telemetry, runtime: Runtime, *, lazy: bool) -> Client:
    config = connect_config()
    config.setdefault("target_host", "127.0.0.1:7233")
    return await Client.connect(
        **config,
        identity=identity(service),
        data_converter=DATA_CONVERTER,
        interceptors=telemetry.interceptors,
        runtime=runtime,
        lazy=lazy,
    )
