"""On a machine that others can reach: who has no certificate, no password or no key gets nothing."""

import asyncio
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client
from temporalio.service import RPCError, TLSConfig

from tests.faults.checks import check_completed_once
from tests.integration.secure.conftest import Secure
from tests.support.certificates import make_certificates
from tests.support.eventually import eventually
from tests.support.order_lines import COMPLETED, events
from tests.support.stack import LOGS

pytestmark = pytest.mark.containers


def test_an_order_with_a_key(secure: Secure) -> None:
    """With a key an order goes all the way, and its lines, trace and metrics arrive as ever."""
    stack = secure.stack
    order = check_completed_once(stack, stack.place())
    stack.until_all_is_stored()
    assert events(stack.stored(f'order.id:"{order["order_id"]}"')) == COMPLETED
    eventually(lambda: {span.name for span in stack.trace(order["trace_id"])}, 150, is_it=lambda it: "order" in it)
    stack.until_all_is_scraped()


@pytest.mark.parametrize("path", ["/orders", "/metrics", "/queues"])
def test_the_api_wants_a_key(secure: Secure, path: str) -> None:
    """Without a key, or with another, the API says 401 as a problem; its health is open."""
    url = secure.stack.url
    for headers in ({}, {"Authorization": "Bearer of_another"}):
        answer = httpx.get(f"{url}{path}", headers=headers, trust_env=False)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
    assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200


def test_elasticsearch_wants_a_password(secure: Secure) -> None:
    """Log lines can't be read without Elasticsearch's password, nor with a wrong one."""
    url = f"http://127.0.0.1:{secure.stack.ports['elasticsearch']}/{LOGS}/_search"
    assert httpx.get(url, trust_env=False).status_code == 401
    assert httpx.get(url, auth=("elastic", "wrong"), trust_env=False).status_code == 401
    assert httpx.get(url, auth=("elastic", secure.passwords["ELASTIC_PASSWORD"]), trust_env=False).status_code == 200


async def connected(secure: Secure, tls: TLSConfig | bool) -> bool:
    """Whether Temporal talks to a client that shows this."""
    address = f"127.0.0.1:{secure.stack.ports['temporal']}"
    try:
        async with asyncio.timeout(20):
            client = await Client.connect(address, tls=tls)
            return await client.service_client.check_health()
    except (RuntimeError, RPCError):
        return False


def identity(folder: Path, authority: Path) -> TLSConfig:
    return TLSConfig(
        server_root_ca_cert=(authority / "authority" / "ca.pem").read_bytes(),
        client_cert=(folder / "client" / "client.pem").read_bytes(),
        client_private_key=(folder / "client" / "client.key").read_bytes(),
    )


async def test_temporal_wants_a_certificate_of_ours(secure: Secure, tmp_path: Path) -> None:
    """Temporal talks to who has our certificate, and to nobody else; and who trusts another authority does not talk to
    it."""
    ours, others = secure.certificates, make_certificates(tmp_path / "others")
    only_authority = TLSConfig(server_root_ca_cert=(ours / "authority" / "ca.pem").read_bytes())
    assert await connected(secure, identity(ours, ours))
    assert not await connected(secure, False)
    assert not await connected(secure, only_authority)
    assert not await connected(secure, identity(others, ours))
    assert not await connected(secure, identity(ours, others))


def test_secrets_are_on_no_command_line(secure: Secure) -> None:
    """No password and no key is among the arguments of a container's processes."""
    lines = secure.stack.compose("top")
    assert "temporal-server" in lines
    assert not [
        secret for secret in (*secure.passwords.values(), secure.stack.http.headers["Authorization"]) if secret in lines
    ]
