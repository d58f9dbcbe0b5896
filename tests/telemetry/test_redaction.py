"""Nothing personal or secret leaves the platform by its telemetry, whatever becomes of an order.

Each value of these orders bears a word that occurs nowhere else. All paths are walked; then every byte that left is
searched for the words.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from temporalio.client import Client

from api.auth import digest
from contracts.registry import WORKERS
from tests.faults.checks import cancel, until_begun, until_charged
from tests.faults.disturbances import kill, stopped, write_locked
from tests.support.eventually import eventually
from tests.support.order_lines import events, lines_about
from tests.support.platform import RunningPlatform, an_order, running_platform
from tests.support.ports import free_port
from tests.support.telemetry_back_end import recording_back_end

KEY = "of_keymarkkeymarkkeymarkkeymark"
CARD = "4242424242424242"
CARDS = [CARD, "4242 4242 4242 4242", "4242-4242-4242-4242"]
WORDS = re.compile(
    rb"zaphodmark|streetmark|citymark|statemark|mrk.{0,4}4711|mailmark|hostmark|keymark|tok_|pm_|sim-"
    rb"|4242(?:[ .+_/-]|%20)?4242",
    re.IGNORECASE,
)
ADDRESS = {
    "name": 'Åda "Zaphodmark" Łovelace',
    "street": "Streetmarkstraße 12/3, St James's",
    "city": "Citymark an der Größe",
    "state": "Statemark & Söhne",
    "postal_code": "MRK 4711",
    "country": "DE",
}
MARKED = [value for name, value in ADDRESS.items() if name != "country"]
SOLD_OUT = [{"sku": "SOLD-OUT", "quantity": 1, "unit_price_minor": 100}]


def marked(postal_code: str = "MRK 4711", **changes: Any) -> dict[str, Any]:
    """An order full of marked values."""
    given = {"email": "jörg.mailmark@hostmark.com", "payment_method": "tok_visa"} | changes
    return an_order(shipping_address=ADDRESS | {"postal_code": postal_code}, **given)


@dataclass
class Left:
    """What left the platform, by the way it took."""

    ways: dict[str, bytes] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    """Order ids, by what they went through."""
    refused: list[httpx.Response] = field(default_factory=list)
    histories: dict[str, bytes] = field(default_factory=dict)
    """By workflow id, all that Temporal keeps of it."""

    def leaks(self) -> list[tuple[str, bytes]]:
        """Each way on which a marked value is found, with what stands around it."""
        return [
            (way, content[max(0, found.start() - 80) : found.end() + 80])
            for way, content in self.ways.items()
            for found in WORDS.finditer(content)
        ]


class MailServer:
    """Refuses, or puts off, the recipients whose address says so, and quotes the address as servers do."""

    def __init__(self) -> None:
        self.put_off: set[str] = set()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "refused" in address:
            return f"550 5.1.1 no such user <{address}>"
        if "later" in address and address not in self.put_off:
            self.put_off.add(address)
            return f"451 4.7.1 <{address}> greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        return f"554 5.7.1 <{envelope.rcpt_tos[0]}> spam" if "spam" in envelope.rcpt_tos[0] else "250 OK"


@pytest.fixture(scope="module", params=["otlp", "file"])
def left(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    """Walks all paths, with the spans going to a back end or to files, and takes the platform down."""
    left = Left()
    data_dir = tmp_path_factory.mktemp("marked")
    mail = Controller(MailServer(), hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=True)
    mail.start()
    try:
        with recording_back_end() as back_end:
            settings = {
                "OTEL_EXPORTER_OTLP_ENDPOINT": back_end.url,
                "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {KEY}",
                "OTEL_TRACES_EXPORTER": request.param,
                "OTEL_METRIC_EXPORT_INTERVAL": "1000",
                "ORDERFLOW_API_KEYS": f"tests:{digest(KEY)}",
                "ORDERFLOW_SMTP_HOST": "127.0.0.1",
                "ORDERFLOW_SMTP_PORT": str(mail.port),
                "ORDERFLOW_SMTP_SECURITY": "none",
            }
            with running_platform(data_dir, **settings) as platform:
                platform.http.headers["Authorization"] = f"Bearer {KEY}"
                _walk(platform, left)
                _refused_requests(platform, left)
                _until_told(platform, left)
                left.ways |= _scrapes(platform)
                left.histories = asyncio.run(_histories(platform.temporal_address))
        left.ways |= {
            "POST /v1/traces": back_end.bodies("/v1/traces"),
            "POST /v1/metrics": back_end.bodies("/v1/metrics"),
        }
        left.ways |= {
            file.name: file.read_bytes() for folder in ("logs", "traces") for file in _files(data_dir / folder)
        }
        left.ways |= {
            f"answer {number}": f"{answer.headers.multi_items()}".encode() + answer.content
            for number, answer in enumerate(left.refused)
        }
        yield left
    finally:
        mail.stop()


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def _walk(platform: RunningPlatform, left: Left) -> None:
    """Orders that meet every kind of trouble."""

    def place(name: str, headers: dict[str, str] | None = None, **changes: Any) -> str:
        response = platform.http.post("/orders", json=marked(**changes), headers=headers)
        assert response.status_code == 202, response.text
        left.orders[name] = response.json()["order_id"]
        return left.orders[name]

    killed = place("killed", payment_method="tok_slow_answer")
    until_charged(platform, killed)
    kill(platform.pid("payment"))

    strangers = {
        "Idempotency-Key": "mailmark@hostmark.com",
        "traceparent": f"00-{7:032x}-{7:016x}-01",
        "tracestate": "zaphodmark=mailmark",
        "baggage": f"name=zaphodmark,card={CARD}",
        "User-Agent": f"zaphodmark/{CARD}",
        "Cookie": f"session={KEY}",
    }
    place("completed", strangers)
    place("declined", payment_method="tok_declined")
    place("another token", payment_method="pm_1keymark")
    place("out of stock", items=SOLD_OUT)
    place("undeliverable", postal_code="SIM-UNDELIVERABLE")
    place("undo refused", items=SOLD_OUT, payment_method="tok_refund_fails")
    place("payment retried", payment_method="tok_flaky")
    place("shipping retried", postal_code="SIM-FLAKY")
    place("mail refused", email="refused.mailmark@hostmark.com")
    place("mail put off", email="später.later.mailmark@hostmark.com")
    place("mail is spam", email="spam.mailmark@hostmark.com")
    cancelled = place("cancelled", postal_code="SIM-SLOW")
    until_begun(platform, cancelled, "ship_order")
    left.refused.append(cancel(platform, cancelled))
    _until(platform, left.orders["mail is spam"], "step-retried")

    with write_locked(platform, "payment"):
        locked = place("database locked")
        _until(platform, locked, "step-retried")
    with stopped(platform, "temporal"):
        left.refused.append(platform.http.post("/orders", json=marked()))
        assert left.refused[-1].status_code == 503
    for name, order_id in left.orders.items():
        if name != "mail is spam":
            platform.end(order_id, within_seconds=90)
    left.refused.append(cancel(platform, left.orders["completed"]))
    left.refused.append(platform.http.post("/orders", json=marked(currency="USD"), headers=strangers))
    assert left.refused[-1].status_code == 422


def _until(platform: RunningPlatform, order_id: str, action: str) -> None:
    """Returns once this event of the order has been told."""
    eventually(lambda: any(action in event for event in events(lines_about(platform.data_dir, order_id))))


def _refused_requests(platform: RunningPlatform, left: Left) -> None:
    """Requests that the API must refuse, each with something in it that it must not repeat."""
    post = platform.http.post
    wrong = marked(email="mailmark at hostmark.com")
    bodies: list[Any] = [
        wrong,
        marked(email="zaphodmark@mail mark"),
        marked() | {"note": "streetmark"},
        marked(items=[{"sku": "zaphodmark citymark", "quantity": "statemark", "unit_price_minor": 1}]),
        marked(payment_method="keymark"),
        marked(postal_code="MRK_4711!"),
        [marked()],
    ]
    for card in CARDS:
        bodies += [marked() | {name: card} for name in ("customer_id", "currency", "payment_method", "email")]
        bodies += [marked() | {"shipping_address": ADDRESS | {name: card}} for name in ADDRESS]
        bodies.append(marked(items=[{"sku": card, "quantity": 1, "unit_price_minor": 1}]))
        bodies.append(marked(items=[{"sku": "TEA-SENCHA", "quantity": 1, "unit_price_minor": int(CARD)}]))
        bodies.append(marked() | {"note": card})
    answers = [post("/orders", json=body) for body in bodies]
    malformed = (json.dumps(marked())[:-9], "zaphodmark streetmark", f"<card>{CARD}</card>", '{"email": "mailmark@')
    answers += [post("/orders", content=text, headers={"Content-Type": "application/json"}) for text in malformed]
    answers.append(post("/orders", content=json.dumps(marked()).encode()[:-1] + b"\xff"))
    answers.append(post("/orders", json=marked(), headers={"Content-Type": "text/zaphodmark"}))
    answers.append(post("/orders", json=marked(), headers={"Authorization": f"Bearer {KEY}x"}))
    answers.append(post("/orders", json=marked(), headers={"Authorization": "Basic emFwaG9kbWFyazprZXltYXJr"}))
    for card in CARDS:
        answers.append(post("/orders", json=marked(), headers={"Idempotency-Key": card}))
        answers.append(platform.http.get(f"/orders/{quote(card)}"))
        answers.append(platform.http.get("/orders", params={"customer_id": card}))
        answers.append(platform.http.get("/nothing", params={"card": card, "email": "mailmark@hostmark.com"}))
        answers.append(platform.http.get(f"/nothing/{quote(card)}", headers={"tracestate": f"card={CARD}"}))
    answers.append(platform.http.get("/orders", params={"status": "zaphodmark", "api_key": KEY}))
    answers.append(platform.http.get("/orders/mailmark@hostmark.com"))
    answers.append(platform.http.get("/orders?email=mailmark%40hostmark.com&limit=zaphodmark"))
    answers.append(platform.http.get("/orders", params={"cursor": "zaphodmark"}))
    answers.append(platform.http.request("ZAPHODMARK", "/orders"))
    assert {answer.status_code for answer in answers} <= {400, 401, 404, 405, 415, 422}, answers
    left.refused += answers


def _until_told(platform: RunningPlatform, left: Left) -> None:
    for name, order_id in left.orders.items():
        last = "step-retried" if name == "mail is spam" else "order-ended"
        _until(platform, order_id, last)


def _scrapes(platform: RunningPlatform) -> dict[str, bytes]:
    offset = int(platform.environment["ORDERFLOW_HEALTH_PORT_OFFSET"])
    urls = {worker.name: f"http://127.0.0.1:{worker.port + offset}" for worker in WORKERS} | {"api": platform.url}
    return {f"/metrics of {name}": platform.http.get(f"{url}/metrics").content for name, url in urls.items()}


async def _histories(address: str) -> dict[str, bytes]:
    client = await Client.connect(address)
    found: dict[str, bytes] = {}
    async for execution in client.list_workflows():
        handle = client.get_workflow_handle(execution.id)
        history = await handle.fetch_history()
        # Protocol buffers hold the payloads' bytes as they are.
        parts = [event.SerializeToString() for event in history.events]
        found[execution.id] = b"\n".join([*parts, (await handle.describe()).raw_description.SerializeToString()])
    return found


def test_nothing_marked_has_left(left: Left) -> None:
    """No name, address, e-mail address, payment token, card number or key is in any byte that left the platform."""
    assert left.leaks() == []


def test_the_orders_were_told(left: Left) -> None:
    """The same bytes tell of every order, in the logs and in the traces: it is not that nothing was said."""
    traces = b"".join(
        content for way, content in left.ways.items() if way == "POST /v1/traces" or b'"resourceSpans"' in content[:40]
    )
    logs = b"".join(content for way, content in left.ways.items() if way.endswith(".jsonl"))
    for name, order_id in left.orders.items():
        assert order_id.encode() in traces, name
        assert order_id.encode() in logs, name
    assert b"[redacted]" in traces
    assert b"orderflow.step.duration" in left.ways["POST /v1/metrics"]
    for worker in WORKERS:
        assert b"process_cpu_time" in left.ways[f"/metrics of {worker.name}"]


def test_temporal_keeps_neither_cards_nor_keys(left: Left) -> None:
    """No order that was refused got to Temporal, and what it keeps of the others has no card number and no API key."""
    assert left.histories.keys() == {f"order-{order_id}" for order_id in left.orders.values()}
    for kept in left.histories.values():
        assert b"Citymark" in kept  # The address is there: an order can't be shipped without it.
        assert KEY.encode() not in kept
        assert not re.search(rb"4242[ -]?4242", kept)


@pytest.mark.parametrize("value", [*MARKED, *CARDS, KEY, "tok_visa", "jörg.mailmark@hostmark.com"])
@pytest.mark.parametrize("spell", [str, repr, ascii, json.dumps, quote, str.upper, lambda text: str(text.encode())])
def test_a_leak_would_be_found(value: str, spell: Any) -> None:
    """A marked value among the bytes is found in each spelling."""
    assert Left(ways={"file": b"\x00\x12" + spell(value).encode() + b"\x00"}).leaks()
