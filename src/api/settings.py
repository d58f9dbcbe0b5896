"""The API's settings."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, HttpUrl, TypeAdapter, field_validator, model_validator
from pydantic_settings import NoDecode

from contracts.registry import service
from service.settings import ListeningSettings, SettingError, is_loopback

_KEY = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,64}):(?P<digest>[0-9a-f]{64})")


def _http_url(given: str) -> str:
    TypeAdapter(HttpUrl).validate_python(given)
    return given


class ApiSettings(ListeningSettings):
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=service("api").port, ge=0, le=65_535)
    api_keys: Annotated[dict[str, str], NoDecode] = {}
    """Who may call: `name:sha256-of-key`, several separated by commas. `orderflow api-key NAME` makes one."""
    monitor_url: Annotated[str, AfterValidator(_http_url)] = f"http://127.0.0.1:{service('monitor').port}"
    """Where the queue monitor answers."""
    step_timeout_seconds: int = Field(default=86_400, ge=1)
    """How long each step of an order may take in all, waits for an absent worker included."""

    @field_validator("api_keys", mode="before")
    @classmethod
    def _named_digests(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        found = [_KEY.fullmatch(entry.strip()) for entry in given.split(",")]
        keys = {match["name"]: match["digest"] for match in found if match}
        if len(keys) != len(found):
            raise ValueError("must be name:sha256-in-hex, separated by commas, each name once")
        return keys

    @model_validator(mode="after")
    def _closed_or_authenticated(self) -> Self:
        if not self.api_keys and not self.trusted_network and not is_loopback(self.api_host):
            raise SettingError(
                f"ORDERFLOW_API_KEYS: must be set to listen beyond loopback (ORDERFLOW_API_HOST is {self.api_host})"
            )
        return self
