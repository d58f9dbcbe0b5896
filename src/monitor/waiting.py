"""Which orders can't go on while a task queue is unwell, found through their search attributes.

An order that does a step bears the step's status. One that undoes, or tells its customer how it ended, says by its
pending activity which queue it waits in. Every running order needs the order worker.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from contracts.orders import WORKFLOW_TYPE, order_id_of
from contracts.registry import STEPS, Service
from contracts.search import ORDER_STATUS

_MOST_TOLD = 10
_PAGE = 200
_MOST_DESCRIBED = 50
"""Orders between steps that are asked what they wait for; of more than these the count is a least."""
_MOST_HALVINGS = 32
"""Of the time below, until a millisecond is left."""
_LONGEST = timedelta(days=30)
"""How far back the search for the oldest orders goes: as long as orders are kept."""
_ANSWER_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    orders: int
    """How many."""
    oldest: tuple[tuple[str, datetime], ...]
    """Of those, id and start of the ten that began first."""


class WaitingOrders:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def of(self, services: Collection[Service]) -> dict[str, Waiting]:
        """By the service's name. Without a service that the server gave no answer about."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                between = await self._between_steps()
                return {service.name: await self._of(service, between) for service in services}
        except (RPCError, RuntimeError, TimeoutError) as error:
            _log.warning("the orders that wait could not be counted: %s", error or type(error).__name__)
            return {}

    async def older_than(self, age: timedelta) -> int:
        """How many running orders began longer ago than this. Raises RPCError."""
        return await self._count(_began_before(datetime.now(UTC) - age))

    async def _of(self, service: Service, between: Mapping[str, list[WorkflowExecution]]) -> Waiting:
        assert service.task_queue is not None
        condition = f"AND {ORDER_STATUS.name} = '{service.step.status}'" if service.step else ""
        count = await self._count(condition)
        others = between.get(service.task_queue, []) if service.step else []
        found = [*others, *(await self._oldest(condition, count) if count else [])]
        found.sort(key=lambda execution: execution.start_time)
        oldest = [(order_id_of(execution.id) or execution.id, execution.start_time) for execution in found]
        return Waiting(count + len(others), tuple(oldest[:_MOST_TOLD]))

    async def _oldest(self, condition: str, count: int) -> list[WorkflowExecution]:
        """The oldest of `count` orders. The server lists the newest first, so the time is halved until few are left."""
        if count > _PAGE:
            early, late = datetime.now(UTC) - _LONGEST, datetime.now(UTC)
            for _ in range(_MOST_HALVINGS):
                middle = early + (late - early) / 2
                before = await self._count(f"{condition} {_began_before(middle)}")
                if before >= _MOST_TOLD:
                    late = middle
                else:
                    early = middle
                if _MOST_TOLD <= before <= _PAGE:
                    break
            condition = f"{condition} {_began_before(late)}"
        listed = [execution async for execution in self._list(condition, _PAGE)]
        return listed[-_MOST_TOLD:]

    async def _between_steps(self) -> dict[str, list[WorkflowExecution]]:
        """Running orders that do no step, by the queue that their pending activity waits in."""
        doing = ", ".join(f"'{step.status}'" for step in STEPS.values())
        found: dict[str, list[WorkflowExecution]] = {}
        async for execution in self._list(f"AND {ORDER_STATUS.name} NOT IN ({doing})", _MOST_DESCRIBED):
            description = await self._client.get_workflow_handle(execution.id).describe()
            for queue in {
                pending.activity_options.task_queue.name for pending in description.raw_description.pending_activities
            }:
                found.setdefault(queue, []).append(execution)
        return found

    async def _count(self, condition: str) -> int:
        return (await self._client.count_workflows(_running(condition))).count

    def _list(self, condition: str, most: int) -> AsyncIterator[WorkflowExecution]:
        return self._client.list_workflows(_running(condition), page_size=most, limit=most)


def _running(condition: str) -> str:
    return f"WorkflowType = '{WORKFLOW_TYPE}' AND ExecutionStatus = 'Running' {condition}"


def _began_before(moment: datetime) -> str:
    return f"AND StartTime < '{moment.isoformat()}'"
