"""A client of the HTTP order API."""

from typing import Any

import httpx
from pydantic import SecretStr

from contracts.registry import service
from service.settings import Settings


class ClientSettings(Settings):
    api_url: str | None = None
    """Where the API is; on this machine unless set."""
    api_port: int = service("api").port
    api_key: SecretStr | None = None


class ApiError(Exception):
    """The API said no: its problem in one line."""


class OrderClient:
    """Raises ApiError for every answer that is a problem, and when the API can't be reached."""

    def __init__(self, settings: ClientSettings) -> None:
        self.url = (settings.api_url or f"http://127.0.0.1:{settings.api_port}").rstrip("/")
        headers = {"Authorization": f"Bearer {settings.api_key.get_secret_value()}"} if settings.api_key else {}
        # Not through a proxy: the default is this machine.
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=75.0, trust_env=False)

    def submit(self, order: object, *, idempotency_key: str | None = None, wait: int = 0) -> dict[str, Any]:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._ask("POST", "/orders", json=order, headers=headers, params={"wait": wait})

    def get(self, order_id: str) -> dict[str, Any]:
        return self._ask("GET", f"/orders/{order_id}")

    def history(self, order_id: str) -> dict[str, Any]:
        return self._ask("GET", f"/orders/{order_id}/history")

    def list(self, **params: str | int) -> dict[str, Any]:
        return self._ask("GET", "/orders", params=params)

    def cancel(self, order_id: str, *, wait: int = 0) -> dict[str, Any]:
        return self._ask("POST", f"/orders/{order_id}/cancel", params={"wait": wait})

    def queues(self) -> dict[str, Any]:
        return self._ask("GET", "/queues", timeout=10.0)

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **options)
            answer: dict[str, Any] = response.json()
        except httpx.HTTPError as error:
            raise ApiError(f"{self.url} can't be reached: {error}") from None
        except ValueError:
            raise ApiError(f"{self.url}{path} answered {response.status_code}, but no JSON") from None
        if response.is_success:
            return answer
        fields = "; ".join(f"{e['field']}: {e['detail']}" for e in answer.get("errors", []))
        raise ApiError(f"{response.status_code} {answer.get('detail', '')}{f' ({fields})' if fields else ''}")
