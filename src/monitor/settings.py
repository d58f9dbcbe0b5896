"""The queue monitor's settings."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from contracts.registry import service
from service.settings import EndpointSettings


class MonitorSettings(EndpointSettings):
    health_port: int = Field(default=service("monitor").port, ge=0, le=65_535)
    """Where it answers HTTP."""
    monitor_interval_seconds: float = Field(default=2.0, ge=0.5, le=10.0)
    """How often it looks. Above ten seconds a worker's heartbeat would not be seen in time."""
    alert_urls: Annotated[tuple[str, ...], NoDecode] = ()
    """Whom to notify: Apprise URLs, separated by spaces or commas."""
    order_too_old_seconds: int = Field(default=3_600, ge=1)
    """From when on a running order counts as too old."""
    runbooks_url: str = "docs/runbooks"
    temporal_ui_url: str | None = None
    jaeger_url: str | None = None
    kibana_url: str | None = None
    console_url: str | None = None

    @field_validator("alert_urls", mode="before")
    @classmethod
    def _known_to_apprise(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        from monitor.chat import urls  # noqa: PLC0415 - its memory is paid for only where it is used

        return urls(given)

    @field_validator("runbooks_url", "temporal_ui_url", "jaeger_url", "kibana_url", "console_url")
    @classmethod
    def _without_slash(cls, given: str | None) -> str | None:
        return given.rstrip("/") if given else None
