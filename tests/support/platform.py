"""A platform of real processes for a test: `orderflow up` in a folder and on ports of its own."""

import json
import os
import sqlite3
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from api.requests import EXAMPLE_ORDER
from contracts.orders import ENDS
from tests.support.eventually import eventually
from tests.support.ports import free_health_offset, free_port
from tests.support.postgres import database_setting, fetch

ORDERFLOW = Path(sys.executable).parent / "orderflow"


def an_order(**changes: Any) -> dict[str, Any]:
    """A valid order; `postal_code` goes into its address, everything else replaces a field."""
    order = EXAMPLE_ORDER | {k: v for k, v in changes.items() if k != "postal_code"}
    if "postal_code" in changes:
        order["shipping_address"] = order["shipping_address"] | {"postal_code": changes["postal_code"]}
    return order


class Orders(ABC):
    """A platform as those have it who order there, and who look at what its steps did."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=70.0, trust_env=False)

    @abstractmethod
    def rows(self, step: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What a step's own database says; `?` in the query stands for a parameter."""

    def place(self, headers: Mapping[str, str] | None = None, **changes: Any) -> str:
        """Place an order that must be accepted; its id."""
        response = self.http.post("/orders", json=an_order(**changes), headers=headers)
        assert response.status_code == 202, response.text
        return str(response.json()["order_id"])

    def order(self, order_id: str) -> dict[str, Any]:
        response = self.http.get(f"/orders/{order_id}")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def until(self, order_id: str, status: str, within_seconds: float = 60) -> dict[str, Any]:
        """The order once it has this status."""
        return eventually(lambda: self.order(order_id), within_seconds, is_it=lambda order: order["status"] == status)

    def end(self, order_id: str, within_seconds: float = 60) -> dict[str, Any]:
        """The order once it has ended, whatever the end."""
        return eventually(lambda: self.order(order_id), within_seconds, is_it=lambda order: order["status"] in ENDS)

    def effect(self, step: str, order_id: str) -> str | None:
        """The state of the step's one effect in its ledger; None when there is none."""
        found = self.rows(step, "SELECT state FROM effects WHERE order_id = ? AND step = ?", order_id, step)
        assert len(found) <= 1
        return str(found[0][0]) if found else None

    def charges(self, order_id: str) -> list[tuple[Any, ...]]:
        """The simulated card network's own book on this order: (amount_minor, state)."""
        query = "SELECT amount_minor, state FROM simulated_charges WHERE key LIKE ?"
        return self.rows("payment", query, f"{order_id}:%")


class RunningPlatform(Orders):
    """A platform that is up, as a user has it: the command line, HTTP, and the files it writes."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str]) -> None:
        super().__init__(f"http://127.0.0.1:{environment['ORDERFLOW_API_PORT']}")
        self.data_dir = data_dir
        self.environment = dict(environment)
        self.temporal_address = f"127.0.0.1:{environment['ORDERFLOW_TEMPORAL_PORT']}"

    def run(self, *arguments: str, check: bool = True, timeout: float = 210) -> subprocess.CompletedProcess[str]:
        """Run `orderflow` with these arguments."""
        done = subprocess.run(
            [str(ORDERFLOW), *arguments],
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=timeout,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"orderflow {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Begin `orderflow` with these arguments; the caller ends it."""
        return subprocess.Popen(
            [str(ORDERFLOW), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def status(self) -> dict[str, dict[str, Any]]:
        """`orderflow status --json`, by service."""
        return {one["service"]: one for one in json.loads(self.run("status", "--json").stdout)}

    def pid(self, service: str) -> int:
        return int(self.status()[service]["pid"])

    def rows(self, step: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        if url := self.environment.get(database_setting(step)):
            return fetch(url, query, *parameters)
        # SQLite, read only.
        with sqlite3.connect(f"file:{self.data_dir / f'{step}.db'}?mode=ro", uri=True) as connection:
            found = connection.execute(query, parameters).fetchall()
        connection.close()
        return found


@contextmanager
def running_platform(data_dir: Path, **settings: str) -> Iterator[RunningPlatform]:
    """Bring a platform up and take it down again. `settings` are further environment variables."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ORDERFLOW_", "TEMPORAL_"))
    }
    environment |= {
        "ORDERFLOW_DATA_DIR": str(data_dir),
        "ORDERFLOW_API_PORT": str(free_port()),
        "ORDERFLOW_TEMPORAL_PORT": str(free_port()),
        "ORDERFLOW_TEMPORAL_HTTP_PORT": str(free_port()),
        "ORDERFLOW_TEMPORAL_UI_PORT": str(free_port()),
        "ORDERFLOW_HEALTH_PORT_OFFSET": str(free_health_offset()),
        "ORDERFLOW_SIMULATOR_SLOW_SECONDS": "4",
    } | settings
    platform = RunningPlatform(data_dir, environment)
    platform.run("up", "--detach")
    try:
        yield platform
    finally:
        platform.http.close()
        platform.run("down")
