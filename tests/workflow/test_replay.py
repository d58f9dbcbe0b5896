"""Orders under way survive a new version of the workflow: the recorded histories replay."""

from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from contracts.orders import WORKFLOW_TYPE, OrderInput, OrderProgress
from tests.workflow.record import HISTORIES, SCRIPTS
from workflow.order import OrderWorkflow

_RECORDED = sorted(HISTORIES.glob("*.json"))


def _replayer(runner: WorkflowRunner, of: type = OrderWorkflow) -> Replayer:
    return Replayer(workflows=[of], workflow_runner=runner, data_converter=pydantic_data_converter)


def _history(file: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(file.stem, file.read_text())


def test_every_script_is_recorded() -> None:
    """There is a history of every way an order can go."""
    assert {file.stem for file in _RECORDED} == {*SCRIPTS, "cancelled-never-begun"}


@pytest.mark.parametrize("file", _RECORDED, ids=lambda file: file.stem)
async def test_history_replays(file: Path) -> None:
    """The workflow does today what it did when this order was recorded."""
    await _replayer(UnsandboxedWorkflowRunner()).replay_workflow(_history(file))


@pytest.mark.parametrize("file", _RECORDED, ids=lambda file: file.stem)
async def test_history_replays_in_the_sandbox(file: Path) -> None:
    """Nothing in the workflow asks the clock, chance or the world, which the SDK's sandbox would refuse."""
    await _replayer(SandboxedWorkflowRunner()).replay_workflow(_history(file))


@workflow.defn(name=WORKFLOW_TYPE)
class ReservesFirst(OrderWorkflow):
    """A careless change: the same steps in another order."""

    @workflow.init
    def __init__(self, given: OrderInput) -> None:
        super().__init__(given)

    @workflow.run
    async def run(self, _: OrderInput) -> OrderProgress:
        for step in ("inventory", "payment", "shipping", "notification"):
            await self._step(step)
        return self.progress()


async def test_a_careless_change_is_caught() -> None:
    """Replay fails for a workflow that would break orders under way: these tests can fail."""
    replayer = _replayer(UnsandboxedWorkflowRunner(), ReservesFirst)
    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(_history(HISTORIES / "completed.json"))
