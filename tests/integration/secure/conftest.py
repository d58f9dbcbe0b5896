"""The stack with docker-compose.secure.yml on top, as docs/secure.md sets it up."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from scripts.env import with_key

from tests.support.certificates import make_certificates
from tests.support.containers import ContainerStack, container_stack, give_time

API_KEY = "of_a-key-for-these-tests"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    give_time(items, Path(__file__).parent)


@dataclass(frozen=True)
class Secure:
    stack: ContainerStack
    certificates: Path
    """The folder that `make certificates` fills."""
    passwords: dict[str, str]


@pytest.fixture(scope="package")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("secure")
    made = make_certificates(folder / "certificates")
    passwords: dict[str, str] = {}

    def settings(text: str) -> str:
        with_keys = with_key(text, "tests", API_KEY)
        lines = (line.partition("=") for line in with_keys.splitlines() if not line.startswith("#"))
        passwords.update({name: value for name, _, value in lines if name.endswith("_PASSWORD")})
        return with_keys + f"CERTIFICATES_DIR={made}\n"

    files = ["docker-compose.secure.yml", "tests/integration/stack/receiver.yml"]
    with container_stack(folder, files, settings) as stack:
        stack.http.headers["Authorization"] = f"Bearer {API_KEY}"
        stack.elasticsearch.auth = ("elastic", passwords["ELASTIC_PASSWORD"])
        yield Secure(stack, made, passwords)
