"""Every step's worker as it is put together: one effect an order, whatever is repeated or comes late."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL
from temporalio import activity

from contracts.errors import Refusal
from contracts.registry import STEPS
from contracts.steps import Receipt, StepInput
from tests.support.orders import a_contract_order
from workers.context import StepContext
from workers.database import open_database
from workers.migration import migrate

Activities = dict[str, Callable[[StepInput], Awaitable[Any]]]

UNDOABLE = [step.name for step in STEPS.values() if step.undo]


@pytest.fixture
async def step(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def activities(step: str, url: URL, tmp_path: Path) -> AsyncIterator[Activities]:
    database = open_database(url)
    await migrate(step, database)
    try:
        made = await import_module(f"workers.{step}").activities(StepContext(step, tmp_path, database))
        yield {str(activity._Definition.must_from_callable(function).name): function for function in made}
    finally:
        await database.close()


def given(order_id: str) -> StepInput:
    return StepInput(order=a_contract_order(order_id), receipts={"shipping": "trk_1"})


@pytest.mark.parametrize("step", STEPS, indirect=True)
async def test_twenty_executions_give_one_receipt(step: str, activities: Activities) -> None:
    """Executions of a step that Temporal delivers many times at once all give the same receipt; so does a later one."""
    do = activities[STEPS[step].activity]
    receipts = await asyncio.gather(*(do(given("o-1")) for _ in range(20)), return_exceptions=True)
    assert isinstance(receipts[0], Receipt)
    assert receipts == receipts[:1] * 20
    assert await do(given("o-1")) == receipts[0]
    assert await do(given("o-2")) != receipts[0]


@pytest.mark.parametrize("step", UNDOABLE, indirect=True)
async def test_a_step_that_was_undone_first_never_happens(step: str, activities: Activities) -> None:
    """The undo of a step that never ran leaves nothing to do, may be repeated, and calls a late execution off."""
    undo = STEPS[step].undo
    assert undo is not None
    assert [await activities[undo](given("o-1")) for _ in range(2)] == [None, None]
    with pytest.raises(Refusal):
        await activities[STEPS[step].activity](given("o-1"))


@pytest.mark.parametrize("step", UNDOABLE, indirect=True)
async def test_a_step_and_its_undo_at_once_agree(step: str, activities: Activities) -> None:
    """Whichever of a step and its undo wins, afterwards the step is undone for good, or final with its receipt."""
    do, name = activities[STEPS[step].activity], STEPS[step].undo
    assert name is not None
    undo = activities[name]
    for number in range(10):
        order = given(f"o-{number}")
        done, standing = await asyncio.gather(do(order), undo(order), return_exceptions=True)
        assert standing is None or isinstance(standing, Receipt)
        if standing is None:
            assert done is not None
            with pytest.raises(Refusal):
                await do(order)
        else:
            assert done == standing == await do(order)
