"""Settings: read from the environment once, in a process's composition root, and refused in one clear line."""

import ipaddress
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

S = TypeVar("S", bound="Settings")


class SettingError(Exception):
    """A setting that can't be used. Its text is one line that names the setting."""


class Settings(BaseSettings):
    """Base of every process's settings: `ORDERFLOW_<FIELD>`. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="ORDERFLOW_", env_ignore_empty=True, frozen=True)

    data_dir: Path = Path(".orderflow")
    """Where all that a run writes is kept."""
    log_format: Literal["json", "human", "none"] = "json"
    """Of the lines on stdout; those in `<data>/logs/` are always there, in JSON."""


class ListeningSettings(Settings):
    """What every process that answers HTTP takes from its environment."""

    trusted_network: bool = False
    """Whether all who can reach this process may: then it listens beyond loopback without knowing who calls."""


class EndpointSettings(ListeningSettings):
    """Of a process that answers for its health and metrics."""

    health_host: str = "127.0.0.1"
    """Where it answers. It asks nobody for a key, so beyond loopback the network has to be a trusted one."""

    @model_validator(mode="after")
    def _closed_or_trusted(self) -> Self:
        if not self.trusted_network and not is_loopback(self.health_host):
            raise SettingError(
                "ORDERFLOW_TRUSTED_NETWORK: must be true to answer beyond loopback without keys "
                f"(ORDERFLOW_HEALTH_HOST is {self.health_host})"
            )
        return self


class WorkerSettings(EndpointSettings):
    """What every worker process takes from its environment."""

    health_port: int | None = Field(default=None, ge=0, le=65_535)
    """Where the health endpoint listens; the registry's port unless set."""
    max_concurrent_activities: int = Field(default=50, ge=1)
    max_concurrent_workflow_tasks: int = Field(default=50, ge=2)
    max_cached_workflows: int = Field(default=500, ge=0)
    activity_pollers: int = Field(default=2, ge=1)
    workflow_pollers: int = Field(default=4, ge=2)
    graceful_shutdown_seconds: float = Field(default=10.0, ge=0)
    """How long a stopping worker lets its activities finish before it gives them back."""


def load(settings: type[S], prefix: str | None = None) -> S:
    """Read `settings` from the environment. Raises SettingError, naming each setting that is wrong."""
    try:
        return settings() if prefix is None else settings(_env_prefix=prefix)
    except ValidationError as error:
        stated = prefix if prefix is not None else str(settings.model_config.get("env_prefix", ""))
        # The value is left out: it may be a secret.
        wrong = (f"{stated}{'_'.join(str(part) for part in e['loc'][:1]).upper()}: {e['msg']}" for e in error.errors())
        raise SettingError("; ".join(wrong)) from None


def is_loopback(host: str) -> bool:
    """Whether an address is one that other machines can't reach. A name other than localhost is none."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
