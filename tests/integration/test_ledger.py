"""The ledger: one effect for each order and step, whatever is repeated, crashes or is called off."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.engine import URL

from contracts.errors import Refusal
from contracts.steps import Receipt
from tests.support.eventually import eventually_async
from workers.database import Database, open_database
from workers.ledger import CalledOff, Ledger
from workers.migration import migrate


class Outside:
    """An outside company: what stands for a key, and how often it was asked. A second effect for a key is the first."""

    def __init__(self) -> None:
        self.standing: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.reverted: Counter[str] = Counter()

    async def act(self, key: str) -> Receipt:
        self.asked[key] += 1
        self.standing.add(key)
        return Receipt(reference=f"ref-{key}")

    async def revert(self, key: str) -> None:
        self.reverted[key] += 1
        self.standing.discard(key)


class Crash(BaseException):
    """The process dies."""


@pytest.fixture
async def database(url: URL) -> AsyncIterator[Database]:
    database = open_database(url)
    await migrate("payment", database)
    yield database
    await database.close()


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database, "payment")


@pytest.fixture
def outside() -> Outside:
    return Outside()


async def do(ledger: Ledger, outside: Outside, order_id: str = "o") -> Receipt:
    return await ledger.once(order_id, lambda: outside.act(order_id), lambda: outside.revert(order_id))


async def undo(ledger: Ledger, outside: Outside, order_id: str = "o") -> Receipt | None:
    return await ledger.undo(order_id, lambda: outside.revert(order_id))


async def test_fifty_at_once_have_one_effect(ledger: Ledger, outside: Outside) -> None:
    """Fifty executions of one step at once leave one effect, and each gets the same receipt."""
    may_answer = asyncio.Event()

    async def act() -> Receipt:
        receipt = await outside.act("o")
        await may_answer.wait()
        return receipt

    executions = [
        asyncio.create_task(ledger.once("o", act, lambda: outside.revert("o")), name=f"execution {n}")
        for n in range(50)
    ]

    async def asked() -> int:
        return outside.asked["o"]

    await eventually_async(asked)
    may_answer.set()
    assert await asyncio.gather(*executions, return_exceptions=True) == [Receipt(reference="ref-o")] * 50
    assert outside.standing == {"o"}
    assert not outside.reverted


async def test_an_execution_that_was_overtaken_leaves_the_effect_alone(ledger: Ledger, outside: Outside) -> None:
    """An execution that hangs while its retry completes gets the retry's receipt and does not revert the effect."""
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def hang() -> Receipt:
        receipt = await outside.act("o")
        asked.set()
        await may_answer.wait()
        return receipt

    hanging = asyncio.create_task(ledger.once("o", hang, lambda: outside.revert("o")))
    await asked.wait()
    retried = await do(ledger, outside)
    may_answer.set()
    assert await hanging == retried
    assert outside.standing == {"o"}
    assert await do(ledger, outside) == retried


async def test_an_overtaken_execution_refuses_as_its_retry_did(ledger: Ledger, outside: Outside) -> None:
    """An execution whose retry was refused meanwhile leaves no effect behind and refuses too."""
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def hang() -> Receipt:
        asked.set()
        await may_answer.wait()
        return await outside.act("o")

    async def refuse() -> Receipt:
        raise Refusal("card_declined", "The card was declined.")

    hanging = asyncio.create_task(ledger.once("o", hang, lambda: outside.revert("o")))
    await asked.wait()
    with pytest.raises(Refusal):
        await ledger.once("o", refuse, lambda: outside.revert("o"))
    may_answer.set()
    with pytest.raises(Refusal):
        await hanging
    assert not outside.standing


async def test_a_refusal_is_repeated_for_ever(ledger: Ledger, outside: Outside) -> None:
    """A refused step is refused again in the same words without the outside being asked, before and after its undo."""

    async def refuse() -> Receipt:
        raise Refusal("card_declined", "The card was declined.")

    with pytest.raises(Refusal):
        await ledger.once("o", refuse, lambda: outside.revert("o"))
    for _ in range(2):
        with pytest.raises(Refusal) as repeated:
            await do(ledger, outside)
        assert (repeated.value.code, repeated.value.message) == ("card_declined", "The card was declined.")
        assert await undo(ledger, outside) is None
    assert not outside.asked


async def test_undo_before_do_leaves_a_tombstone(ledger: Ledger, outside: Outside) -> None:
    """A step that was undone before it ran is called off when it runs late, and has no effect."""
    assert await undo(ledger, outside) is None
    for _ in range(2):
        with pytest.raises(CalledOff):
            await do(ledger, outside)
    assert not outside.asked
    assert await undo(ledger, outside) is None


async def test_undo_during_do_reverts(ledger: Ledger, outside: Outside) -> None:
    """A step that is undone while the outside is being asked ends called off, with nothing left of its effect."""
    asked, may_act = asyncio.Event(), asyncio.Event()

    async def act() -> Receipt:
        asked.set()
        await may_act.wait()  # The undo finds nothing yet; the effect comes after it.
        return await outside.act("o")

    execution = asyncio.create_task(ledger.once("o", act, lambda: outside.revert("o")))
    await asked.wait()
    assert await undo(ledger, outside) is None
    may_act.set()
    with pytest.raises(CalledOff):
        await execution
    assert outside.asked["o"] == 1
    assert not outside.standing


@pytest.mark.parametrize("how", ["killed", "cancelled", "faulted"])
async def test_a_crash_between_act_and_answer_leaves_one_effect(ledger: Ledger, outside: Outside, how: str) -> None:
    """An execution that dies after its effect and before writing it down is made good by the retry: one effect."""
    asked = asyncio.Event()

    async def act() -> Receipt:
        await outside.act("o")
        asked.set()
        if how == "killed":
            raise Crash
        if how == "faulted":
            raise ConnectionError("the answer was lost")
        await asyncio.Event().wait()
        raise AssertionError

    if how == "cancelled":
        execution = asyncio.create_task(ledger.once("o", act, lambda: outside.revert("o")))
        await asked.wait()
        execution.cancel()
        with pytest.raises(asyncio.CancelledError):
            await execution
    else:
        with pytest.raises((Crash, ConnectionError)):
            await ledger.once("o", act, lambda: outside.revert("o"))
    assert outside.standing == {"o"}

    assert await do(ledger, outside) == Receipt(reference="ref-o")
    assert outside.standing == {"o"}
    assert not outside.reverted


async def test_a_crash_after_the_effect_can_be_undone(ledger: Ledger, outside: Outside) -> None:
    """An effect whose execution died before writing it down is found and taken back by the undo."""

    async def act() -> Receipt:
        await outside.act("o")
        raise Crash

    with pytest.raises(Crash):
        await ledger.once("o", act, lambda: outside.revert("o"))
    assert await undo(ledger, outside) is None
    assert not outside.standing


@pytest.mark.parametrize("failure", [Crash(), ConnectionError("no answer"), Refusal("refund_refused", "No.")])
async def test_an_undo_that_fails_can_be_repeated(ledger: Ledger, outside: Outside, failure: BaseException) -> None:
    """An undo that failed half-way keeps the step from running again and takes the effect back when repeated."""
    await do(ledger, outside)

    async def fail() -> None:
        raise failure

    with pytest.raises(type(failure)):
        await ledger.undo("o", fail)
    with pytest.raises(CalledOff):
        await do(ledger, outside)
    assert outside.standing == {"o"}
    assert await undo(ledger, outside) is None
    assert not outside.standing


async def test_an_effect_that_is_final_stands(ledger: Ledger, outside: Outside) -> None:
    """The undo of what can't be taken back gives its receipt, and the step counts as done from then on."""
    receipt = await do(ledger, outside)

    async def too_late() -> Receipt:
        return receipt

    assert await ledger.undo("o", too_late) == receipt
    assert await ledger.undo("o", too_late) == receipt
    assert await do(ledger, outside) == receipt
    assert outside.asked["o"] == 1


async def test_a_final_effect_found_while_the_answer_is_awaited_stands(ledger: Ledger, outside: Outside) -> None:
    """When the undo finds a final effect whose execution still runs, that execution gives the receipt as well."""
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def act() -> Receipt:
        receipt = await outside.act("o")
        asked.set()
        await may_answer.wait()
        return receipt

    async def too_late() -> Receipt:
        return Receipt(reference="ref-o")

    execution = asyncio.create_task(ledger.once("o", act, too_late))
    await asked.wait()
    assert await ledger.undo("o", too_late) == Receipt(reference="ref-o")
    may_answer.set()
    assert await execution == Receipt(reference="ref-o")


async def test_orders_and_steps_are_apart(database: Database, outside: Outside) -> None:
    """Undoing one order's step touches neither another order's nor another step of the same order."""
    payment, outcome = Ledger(database, "payment"), Ledger(database, "payment.outcome")
    await undo(payment, outside, "a")
    assert await do(payment, outside, "b") == Receipt(reference="ref-b")
    assert await do(outcome, outside, "a") == Receipt(reference="ref-a")
    assert payment.key("a") != payment.key("b")
    assert payment.key("a") != outcome.key("a")
