"""The order workflow: take payment, reserve items, ship, confirm; or undo what was done and say why."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from contracts.orders import (
    PROGRESS_QUERY,
    WORKFLOW_TYPE,
    OrderInput,
    OrderProgress,
    Reason,
    Status,
    StepProgress,
    StepState,
)
from contracts.registry import STEPS, Step, task_queue
from contracts.search import ORDER_STATUS
from contracts.steps import TELL_CUSTOMER, Outcome, Receipt, StepInput
from workflow.hold import HOLD_ACTIVITY
from workflow.policies import policy
from workflow.saga import Saga, ending, is_step_end, refusal, uninterrupted


@workflow.defn(name=WORKFLOW_TYPE)
class OrderWorkflow:
    """One order, from its payment to one of its ends.

    It always returns its progress: a refused, cancelled or failed order is an order that reached its end, and
    `status` says which. The workflow itself fails only by a defect, which Temporal retries until it is mended.
    """

    @workflow.init
    def __init__(self, given: OrderInput) -> None:
        order = given.order
        self._order = order
        self._step_timeout = timedelta(seconds=given.step_timeout_seconds)
        self._saga = Saga()
        self._receipts: dict[str, str] = {}
        self._may_turn_back = True
        self._progress = OrderProgress(
            order_id=order.order_id,
            customer_id=order.customer_id,
            status=Status.RECEIVED,
            currency=order.currency,
            amount_minor=order.amount_minor,
            received_at=workflow.info().start_time,
            updated_at=workflow.info().start_time,
        )

    @workflow.run
    async def run(self, _: OrderInput) -> OrderProgress:
        try:
            await self._step("payment")
            await self._step("inventory")
            await self._step("shipping")
            await self._step("notification")
        except BaseException as error:
            if not is_step_end(error):
                raise
            await uninterrupted(self._turn_back(error))
        else:
            self._end(Status.COMPLETED)
        return self.progress()

    @workflow.query(name=PROGRESS_QUERY)
    def progress(self) -> OrderProgress:
        """Where the order is; works on running and on ended orders."""
        cancellable = self._may_turn_back and self._progress.ended_at is None
        return self._progress.model_copy(update={"cancellable": cancellable, "cancellation": self._cancellation()})

    async def _step(self, name: str) -> None:
        """Do one step. Raises what ended it when it was not done."""
        step = STEPS[name]
        if self._may_turn_back and self._cancellation_requested():
            raise asyncio.CancelledError
        self._saga.push(step)
        self._begin(step)
        try:
            receipt = await self._attempt(step)
        except ActivityError as error:
            receipt = await uninterrupted(self._clear_up(step, error))
        self._receipts[name] = receipt.reference
        self._record(step, StepState.DONE, reference=receipt.reference)
        if step.point_of_no_return:
            self._may_turn_back = False

    async def _attempt(self, step: Step) -> Receipt:
        """Wait for the step's answer. A cancellation calls the step off, unless the order may not turn back."""
        bounds = policy(step.name)
        activity: workflow.ActivityHandle[Receipt] = workflow.start_activity(
            step.activity,
            self._step_input(),
            activity_id=step.name,
            result_type=Receipt,
            task_queue=task_queue(step.name),
            schedule_to_close_timeout=self._step_timeout,
            start_to_close_timeout=timedelta(seconds=bounds.attempt_seconds),
            heartbeat_timeout=timedelta(seconds=bounds.heartbeat_seconds),
            retry_policy=bounds.retries,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        try:
            return await asyncio.shield(activity)
        except asyncio.CancelledError:
            if self._may_turn_back and not activity.done():
                if await self._hold(step):
                    self._saga.settle(step)
                activity.cancel()
            return await activity

    async def _hold(self, step: Step) -> bool:
        """Whether the step is proved to have never begun, so that a cancelled order need not wait for its worker."""
        try:
            held: bool = await workflow.execute_activity(
                HOLD_ACTIVITY,
                step.name,
                result_type=bool,
                schedule_to_close_timeout=timedelta(seconds=15),
                start_to_close_timeout=timedelta(seconds=5),
            )
        except ActivityError:
            return False  # Unknown: then the undo is owed.
        return held

    async def _clear_up(self, step: Step, error: ActivityError) -> Receipt:
        """A step ended without its receipt. Raises `error` again, unless the step turns out to be done all the same."""
        if refusal(error) is not None:
            self._saga.settle(step)
            self._record(step, StepState.REFUSED)
            raise error
        if self._cancellation_requested():
            self._record(step, StepState.CANCELLED)
        else:
            self._record(step, StepState.FAILED)
            workflow.logger.warning("%s: time ran out", step.activity, extra=_about(step, "step-out-of-time"))
        if step.point_of_no_return and self._saga.owes(step):
            # Its effect is unknown, and decides whether the order may turn back at all.
            self._saga.settle(step)
            done = await self._undo(step)
            if done is not None:
                return done
        raise error

    async def _turn_back(self, error: BaseException) -> None:
        """Undo all that was done, newest first, tell the customer, and end the order."""
        last = self._progress.steps[-1].step if self._progress.steps else "payment"
        end = ending(error, last, self._cancellation_requested())
        if not self._may_turn_back:
            message = f"The parcel has left, but the {last} step was not done: {end.reason.message}"
            self._end(Status.NEEDS_ATTENTION, Reason(code=f"{last}_not_done", message=message))
            return
        owed = self._saga.drain()
        if owed:
            self._move_to(Status.UNDOING)
        for step in owed:
            await self._undo(step)
        failed = [s.step for s in self._progress.steps if s.state is StepState.UNDO_FAILED]
        if failed:
            message = f"Could not be undone: {', '.join(failed)}. Before that: {end.reason.message}"
            self._end(Status.NEEDS_ATTENTION, Reason(code="undo_failed", message=message))
        else:
            self._end(end.status, end.reason)
        await self._tell_customer()

    async def _undo(self, step: Step) -> Receipt | None:
        """Take the step's effect back. Returns the receipt of an effect that turned out to be final."""
        assert step.undo is not None
        bounds = policy(step.name)
        self._record(step, StepState.UNDOING)
        try:
            standing: Receipt | None = await workflow.execute_activity(
                step.undo,
                self._step_input(),
                activity_id=f"{step.name}-undo",
                result_type=Receipt | None,  # type: ignore[arg-type]  # A union is a type to the converter.
                task_queue=task_queue(step.name),
                schedule_to_close_timeout=self._step_timeout,
                start_to_close_timeout=timedelta(seconds=bounds.attempt_seconds),
                heartbeat_timeout=timedelta(seconds=bounds.heartbeat_seconds),
                retry_policy=bounds.retries,
            )
        except ActivityError as error:
            if refusal(error) is None:  # A refusal is told by the worker that was refused.
                workflow.logger.error("%s: time ran out", step.undo, extra=_about(step, "undo-out-of-time"))
            self._record(step, StepState.UNDO_FAILED)
            return None
        if standing is None:
            self._record(step, StepState.UNDONE)
        return standing

    async def _tell_customer(self) -> None:
        """Best effort: the order has ended whether or not the message goes out."""
        reason = self._progress.reason
        assert reason is not None
        undone = [s.step for s in self._progress.steps if s.state is StepState.UNDONE]
        try:
            await workflow.execute_activity(
                TELL_CUSTOMER,
                Outcome(order=self._order, status=self._progress.status, reason=reason, undone=undone),
                activity_id="tell-customer",
                task_queue=task_queue("notification"),
                schedule_to_close_timeout=self._step_timeout,
                start_to_close_timeout=timedelta(seconds=policy("notification").attempt_seconds),
                retry_policy=policy("notification").retries,
            )
        except ActivityError:
            workflow.logger.error("the customer could not be told", extra={"event.action": "notice-out-of-time"})

    def _cancellation_requested(self) -> bool:
        return workflow.cancellation_reason() is not None

    def _cancellation(self) -> Reason | None:
        """What became of a cancellation, if one was asked for."""
        if not self._cancellation_requested():
            return None
        if self._progress.status == Status.CANCELLED:
            return Reason(code="cancelled", message="The order was cancelled and everything undone.")
        if not self._may_turn_back:
            return Reason(code="too_late", message="The parcel has left, so the order goes on.")
        if self._progress.ended_at is not None:
            return Reason(code="ended_otherwise", message=f"The order ended as {self._progress.status}.")
        return Reason(code="accepted", message="What was done is being undone.")

    def _step_input(self) -> StepInput:
        return StepInput(order=self._order, receipts=dict(self._receipts))

    def _begin(self, step: Step) -> None:
        begun = StepProgress(step=step.name, state=StepState.RUNNING, started_at=workflow.now())
        self._progress = self._progress.model_copy(update={"steps": [*self._progress.steps, begun]})
        self._move_to(step.status)

    def _record(self, step: Step, state: StepState, **changes: object) -> None:
        """Note what became of a step that has begun."""
        changes |= {"state": state, "ended_at": workflow.now()}
        steps = [s.model_copy(update=changes) if s.step == step.name else s for s in self._progress.steps]
        self._progress = self._progress.model_copy(update={"steps": steps, "updated_at": workflow.now()})

    def _move_to(self, status: str) -> None:
        self._progress = self._progress.model_copy(update={"status": status, "updated_at": workflow.now()})
        workflow.upsert_search_attributes([ORDER_STATUS.value_set(status)])

    def _end(self, status: Status, reason: Reason | None = None) -> None:
        self._progress = self._progress.model_copy(update={"reason": reason, "ended_at": workflow.now()})
        self._move_to(status)
        note = workflow.logger.error if status is Status.NEEDS_ATTENTION else workflow.logger.info
        note("order %s", status, extra={"event.action": "order-ended", "orderflow.outcome": status})


def _about(step: Step, action: str) -> dict[str, str]:
    return {"event.action": action, "orderflow.step": step.name}
