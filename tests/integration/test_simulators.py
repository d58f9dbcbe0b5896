"""The simulated card network and carrier: their own books, which a test can trust as it would a real company's."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from contracts.errors import Refusal
from contracts.orders import Address
from tests.support.eventually import eventually_async
from tests.support.orders import a_contract_order
from workers.database import Database, open_database
from workers.migration import migrate
from workers.payment.simulator import SimulatedCardNetwork, charges
from workers.shipping.simulator import SimulatedCarrier, parcels
from workers.simulation import OutsideUnavailable, SimulatorSettings, Temper, reference


def very_slow() -> Temper:
    return Temper(SimulatorSettings(simulator_slow_seconds=3600))


@pytest.fixture
async def payment(url: URL) -> AsyncIterator[Database]:
    database = open_database(url)
    await migrate("payment", database)
    yield database
    await database.close()


@pytest.fixture
async def shipping(url: URL) -> AsyncIterator[Database]:
    database = open_database(url)
    await migrate("shipping", database)
    yield database
    await database.close()


@pytest.fixture
def network(payment: Database) -> SimulatedCardNetwork:
    return SimulatedCardNetwork(payment, very_slow())


@pytest.fixture
def carrier(shipping: Database) -> SimulatedCarrier:
    return SimulatedCarrier(shipping, very_slow())


async def book(database: Database, table: sa.Table) -> list[dict[str, Any]]:
    found = await database.transaction(lambda connection: connection.execute(sa.select(table)).mappings().all())
    return [dict(row) for row in found]


def address(postal_code: str = "SW1Y 4JH") -> Address:
    return a_contract_order().shipping_address.model_copy(update={"postal_code": postal_code})


async def test_a_card_is_charged_once_for_a_key(payment: Database, network: SimulatedCardNetwork) -> None:
    """Twenty charges at once with one key are one charge, and all are told its id."""
    told = await asyncio.gather(
        *(network.charge("k", "tok_visa", 2500, "EUR") for _ in range(20)), return_exceptions=True
    )
    assert told == [reference("ch", "k")] * 20
    assert await book(payment, charges) == [
        {"key": "k", "token": "tok_visa", "amount_minor": 2500, "currency": "EUR", "state": "charged"}
    ]


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("tok_declined", "card_declined"),
        ("tok_insufficient_funds", "insufficient_funds"),
        ("tok_expired", "card_expired"),
    ],
)
async def test_a_declined_card_is_not_charged(
    payment: Database, network: SimulatedCardNetwork, token: str, code: str
) -> None:
    """A token for a declined card is refused with its own code, and nothing is booked."""
    with pytest.raises(Refusal) as refused:
        await network.charge("k", token, 2500, "EUR")
    assert refused.value.code == code
    assert refused.value.non_retryable
    assert await book(payment, charges) == []


async def test_a_refunded_charge_is_not_made_again(payment: Database, network: SimulatedCardNetwork) -> None:
    """After a refund, repeated or not, the key can't be charged any more; also when nothing had been charged yet."""
    await network.charge("charged", "tok_visa", 2500, "EUR")
    for key in ("charged", "never"):
        await network.refund(key)
        await network.refund(key)
        with pytest.raises(Refusal):
            await network.charge(key, "tok_visa", 2500, "EUR")
    assert {row["key"]: (row["amount_minor"], row["state"]) for row in await book(payment, charges)} == {
        "charged": (2500, "refunded"),
        "never": (0, "refunded"),
    }


async def test_a_charge_and_its_refund_at_once_end_refunded(payment: Database, network: SimulatedCardNetwork) -> None:
    """Whichever of a charge and its refund comes first, no charge stands at the end."""
    keys = [f"k{n}" for n in range(20)]
    work = [call for key in keys for call in (network.charge(key, "tok_visa", 1, "EUR"), network.refund(key))]
    ended = await asyncio.gather(*work, return_exceptions=True)
    assert [end for end in ended if isinstance(end, Exception) and not isinstance(end, Refusal)] == []
    assert {row["key"]: row["state"] for row in await book(payment, charges)} == dict.fromkeys(keys, "refunded")


async def test_a_card_that_can_not_be_refunded_stays_charged(payment: Database, network: SimulatedCardNetwork) -> None:
    """The token whose refund fails is refused a refund each time, and the charge stands."""
    await network.charge("k", "tok_refund_fails", 2500, "EUR")
    for _ in range(2):
        with pytest.raises(Refusal, match="refused the refund"):
            await network.refund("k")
    assert [row["state"] for row in await book(payment, charges)] == ["charged"]


async def test_an_unreliable_network_is_a_fault_and_not_a_refusal(network: SimulatedCardNetwork) -> None:
    """A network that is down is always a fault; a flaky one fails twice for each key and then charges."""
    for _ in range(3):
        with pytest.raises(OutsideUnavailable):
            await network.charge("down", "tok_network_down", 1, "EUR")
    for key in ("a", "b"):
        for _ in range(Temper.FLAKY_FAILURES):
            with pytest.raises(OutsideUnavailable):
                await network.charge(key, "tok_flaky", 1, "EUR")
        assert await network.charge(key, "tok_flaky", 1, "EUR")


async def test_a_slow_answer_comes_after_the_charge(payment: Database, network: SimulatedCardNetwork) -> None:
    """A caller that dies while it waits for a slow answer has charged; asking again gives that charge's id."""
    waiting = asyncio.create_task(network.charge("k", "tok_slow_answer", 2500, "EUR"))
    assert len(await eventually_async(lambda: book(payment, charges))) == 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    fast = SimulatedCardNetwork(payment, Temper(SimulatorSettings(simulator_slow_seconds=0)))
    assert await fast.charge("k", "tok_slow_answer", 2500, "EUR") == await network.charge("k", "tok_visa", 2500, "EUR")
    assert len(await book(payment, charges)) == 1


async def test_a_parcel_is_handed_over_once_for_a_key(shipping: Database, carrier: SimulatedCarrier) -> None:
    """Twenty parcels at once for one key are one parcel with one tracking number."""
    told = await asyncio.gather(*(carrier.ship("k", address(), 3) for _ in range(20)), return_exceptions=True)
    assert told == [reference("trk", "k")] * 20
    assert await book(shipping, parcels) == [{"key": "k", "tracking_number": told[0], "pieces": 3, "state": "left"}]


async def test_a_parcel_that_has_left_is_not_called_back(carrier: SimulatedCarrier) -> None:
    """A recall of a parcel that left tells its tracking number, each time."""
    tracking_number = await carrier.ship("k", address(), 1)
    assert [await carrier.recall("k") for _ in range(2)] == [tracking_number] * 2


async def test_a_recalled_parcel_does_not_leave_later(shipping: Database, carrier: SimulatedCarrier) -> None:
    """A recall before the hand-over says that nothing left, and no parcel of that key leaves afterwards."""
    assert [await carrier.recall("k") for _ in range(2)] == [None, None]
    with pytest.raises(Refusal):
        await carrier.ship("k", address(), 1)
    assert [row["state"] for row in await book(shipping, parcels)] == ["recalled"]


async def test_a_hand_over_and_its_recall_at_once_agree(shipping: Database, carrier: SimulatedCarrier) -> None:
    """Whichever of a hand-over and its recall comes first, both are told the same: it left, or it never will."""
    for number in range(20):
        key = f"k{number}"
        shipped, recalled = await asyncio.gather(
            carrier.ship(key, address(), 1), carrier.recall(key), return_exceptions=True
        )
        assert recalled == (None if isinstance(shipped, Refusal) else shipped)
    assert len(await book(shipping, parcels)) == 20


@pytest.mark.parametrize(
    ("postal_code", "error"),
    [("SIM-UNDELIVERABLE", Refusal), ("SIM-DOWN", OutsideUnavailable), ("SIM-FLAKY", OutsideUnavailable)],
)
async def test_a_parcel_that_the_carrier_does_not_take_stays(
    shipping: Database, carrier: SimulatedCarrier, postal_code: str, error: type[Exception]
) -> None:
    """An address that can't be delivered to is refused, a carrier that is down is a fault: nothing leaves."""
    with pytest.raises(error):
        await carrier.ship("k", address(postal_code), 1)
    assert await book(shipping, parcels) == []
