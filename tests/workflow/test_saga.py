"""The saga, whatever its steps do and whenever its customer cancels."""

import uuid

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from contracts.orders import ENDS, OrderInput, OrderProgress, Status, workflow_id
from contracts.registry import STEPS, task_queue
from tests.support.steps import Script, World, an_order
from workflow.order import OrderWorkflow

_STEPS = list(STEPS)
_BEHAVIOURS = st.sampled_from(["does it"] * 4 + ["refuses", "fails once", "fails always", "does it but never answers"])
_UNDOS = st.sampled_from(["undoes it"] * 4 + ["refuses"])
_CANCELLATIONS = st.none() | st.tuples(st.sampled_from(_STEPS), st.sampled_from(["before", "during", "after"]))
_scripts = st.builds(
    Script,
    steps=st.fixed_dictionaries(dict.fromkeys(_STEPS, _BEHAVIOURS)),
    undos=st.fixed_dictionaries({step: _UNDOS for step in _STEPS if STEPS[step].undo}),
    cancel_in=_CANCELLATIONS,
)


async def run(client: Client, world: World, script: Script, step_timeout_seconds: int = 3) -> OrderProgress:
    """Run one order by its script to its end."""
    order_id = str(uuid.uuid4())
    world.scripts[order_id] = script
    return await client.execute_workflow(
        OrderWorkflow.run,
        OrderInput(order=an_order(order_id), step_timeout_seconds=step_timeout_seconds),
        id=workflow_id(order_id),
        task_queue=task_queue("order"),
    )


@settings(
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(script=_scripts)
async def test_all_or_nothing(client: Client, world: World, script: Script) -> None:
    """For any outcomes and any moment of cancellation: all effects stand, or all are undone, or it is loud."""
    progress = await run(client, world, script)
    effects = world.effects(progress.order_id)
    states = {step.step: step.state for step in progress.steps}
    note(f"{progress.status} {states} {effects}")

    assert progress.status in ENDS
    assert progress.ended_at is not None
    match progress.status:
        case Status.COMPLETED:
            assert effects == set(_STEPS)
            assert "undone" not in states.values()
        case Status.NEEDS_ATTENTION:
            undo_refused = any(states[step] == "undo_failed" for step in states)
            told_too_late = "shipping" in effects and states["shipping"] == "done"
            assert undo_refused or told_too_late
            assert progress.reason is not None
            assert any(step in progress.reason.message for step in _STEPS)
        case _:
            assert effects == set()
            assert progress.reason is not None
            assert (progress.order_id, progress.status) in world.told


@settings(
    max_examples=12,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(step=st.sampled_from(_STEPS), moment=st.sampled_from(["before", "during", "after"]))
async def test_cancellation_is_heeded_until_the_parcel_has_left(
    client: Client, world: World, step: str, moment: str
) -> None:
    """A cancelled order ends with nothing left of it, or completes and says that the parcel had left."""
    progress = await run(client, world, Script(cancel_in=(step, moment)), step_timeout_seconds=60)  # type: ignore[arg-type]
    effects = world.effects(progress.order_id)
    assert progress.cancellation is not None
    if "shipping" in effects:
        assert (progress.status, progress.cancellation.code) == ("completed", "too_late")
        assert effects == set(_STEPS)
    else:
        assert (progress.status, progress.cancellation.code) == ("cancelled", "cancelled")
        assert effects == set()
    left = step == "notification" or (step == "shipping" and moment != "during")
    assert left == ("shipping" in effects)


async def test_cancellation_before_the_first_step_begins_nothing(client: Client, world: World) -> None:
    """An order that is cancelled before an order worker looked at it begins no step."""
    order_id = str(uuid.uuid4())
    handle = await client.start_workflow(
        OrderWorkflow.run, OrderInput(order=an_order(order_id)), id=workflow_id(order_id), task_queue="late-worker"
    )
    await handle.cancel()
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue="late-worker", workflows=[OrderWorkflow], workflow_runner=runner):
        progress = await handle.result()
    assert progress.status == Status.CANCELLED
    assert progress.steps == []
    assert world.effects(order_id) == set()


async def test_progress_is_told_by_query_after_the_end(client: Client, world: World) -> None:
    """The status query works on an ended order and says the same as its result."""
    progress = await run(client, world, Script(steps={"inventory": "refuses"}), step_timeout_seconds=60)
    handle = client.get_workflow_handle(workflow_id(progress.order_id))
    assert await handle.query(OrderWorkflow.progress) == progress
    assert [(s.step, s.state) for s in progress.steps] == [("payment", "undone"), ("inventory", "refused")]
