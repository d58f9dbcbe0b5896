"""The saga's decisions: which exits end an order, how it ends, and what is left to undo. Pure."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from contracts.errors import REFUSAL
from contracts.orders import Reason, Status
from contracts.registry import Step

T = TypeVar("T")


@dataclass
class Saga:
    """The undos that an order owes should it not complete, newest last."""

    _owed: list[Step] = field(default_factory=list)

    def push(self, step: Step) -> None:
        """Called before the step runs: a step that gave no answer may still have had its effect."""
        if step.undo is not None:
            self._owed.append(step)

    def settle(self, step: Step) -> None:
        """The step is known to have no effect: its undo is owed no more."""
        if step in self._owed:
            self._owed.remove(step)

    def owes(self, step: Step) -> bool:
        return step in self._owed

    def drain(self) -> list[Step]:
        """What is owed, in the order of undoing; nothing is owed after."""
        owed, self._owed = self._owed[::-1], []
        return owed


@dataclass(frozen=True)
class Ending:
    status: Status
    reason: Reason


def is_step_end(error: BaseException) -> bool:
    """Whether `error` ends the order: a step that ended badly, or a cancellation.

    Anything else (a defect, an eviction from the worker's cache) must leave the workflow as it is.
    """
    return isinstance(error, ActivityError) or is_cancelled_exception(error)


def refusal(error: BaseException) -> ApplicationError | None:
    """The refusal a step answered with, if that is what ended it."""
    cause = error.cause if isinstance(error, ActivityError) else None
    return cause if isinstance(cause, ApplicationError) and cause.type == REFUSAL else None


def refusal_reason(refused: ApplicationError) -> Reason:
    return Reason(code=str(refused.details[0]) if refused.details else "refused", message=refused.message)


def ending(error: BaseException, step: str, cancelled: bool) -> Ending:
    """How an order ends when `error` ended its `step`; `cancelled` says whether a cancellation was asked for."""
    if refused := refusal(error):
        return Ending(Status.REFUSED, refusal_reason(refused))
    if cancelled or is_cancelled_exception(error):
        return Ending(Status.CANCELLED, Reason(code="cancelled", message="The order was cancelled."))
    return Ending(Status.FAILED, Reason(code="out_of_time", message=f"The {step} step could not be done in time."))


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end; a cancellation that arrives meanwhile does not reach it."""
    task = asyncio.ensure_future(work)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done():  # The worker drops this workflow from its cache: all tasks end.
                raise
