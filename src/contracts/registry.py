"""The service registry: the single source of what services there are, their queues and their steps.

The workflow's routing, each worker's start, the CLI's choices and the supervisor's programs are read from here.
A new step is one line in `SERVICES`, one package `workers.<name>` and one call in the workflow.
"""

from dataclasses import dataclass

from contracts.orders import Status


@dataclass(frozen=True, slots=True)
class Step:
    """What an order does in one service."""

    name: str
    status: str
    """The order's status while this step runs."""
    activity: str
    undo: str | None
    """The activity that takes the effect back; None where there is nothing to take back."""
    point_of_no_return: bool = False
    """Once this step is done nothing is undone any more and a cancellation is refused."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How long a queue may be unwell before it counts as such, in seconds."""

    absent_seconds: float = 15.0
    """Nothing waits: since the last sign of life of any worker."""
    orphaned_seconds: float = 9.0
    """Tasks wait: since the last sign of life of any worker."""
    stalled_seconds: float = 60.0
    """Workers live, and yet the oldest task has waited this long."""


@dataclass(frozen=True, slots=True)
class Service:
    """One kind of process of the platform.

    `name` is also the CLI's word for it. `task_queue` is None for what polls no queue. `port` is where it answers
    HTTP: the API's own, or another service's health endpoint.
    """

    name: str
    port: int
    task_queue: str | None = None
    step: Step | None = None
    thresholds: Thresholds = Thresholds()


def _step(
    name: str, port: int, *, status: str, activity: str, undo: str | None, point_of_no_return: bool = False
) -> Service:
    """A step's service: its task queue bears its name."""
    return Service(name, port, task_queue=name, step=Step(name, status, activity, undo, point_of_no_return))


SERVICES: tuple[Service, ...] = (
    Service("api", 8080),
    Service("order", 8101, task_queue="order"),
    _step("payment", 8102, status="paying", activity="take_payment", undo="refund_payment"),
    _step("inventory", 8103, status="reserving", activity="reserve_items", undo="release_items"),
    _step("shipping", 8104, status="shipping", activity="ship_order", undo="recall_parcel", point_of_no_return=True),
    _step("notification", 8105, status="confirming", activity="confirm_order", undo=None),
    Service("monitor", 8100),
)

BY_NAME: dict[str, Service] = {service.name: service for service in SERVICES}
STEPS: dict[str, Step] = {service.step.name: service.step for service in SERVICES if service.step}
WORKERS: tuple[Service, ...] = tuple(service for service in SERVICES if service.task_queue)
STATUSES: tuple[str, ...] = (
    Status.RECEIVED,
    *(step.status for step in STEPS.values()),
    *(status for status in Status if status is not Status.RECEIVED),
)


def service(name: str) -> Service:
    """Raises KeyError for a name that is not in the registry."""
    return BY_NAME[name]


def task_queue(name: str) -> str:
    """The queue of a service that has one. Raises KeyError for any other name."""
    queue = BY_NAME[name].task_queue
    if queue is None:
        raise KeyError(f"service {name} polls no task queue")
    return queue
