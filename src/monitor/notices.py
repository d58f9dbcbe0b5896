"""A notification: what a person who is woken at night needs to know. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel

from contracts.queues import QueueState
from contracts.registry import BY_NAME
from monitor.incidents import Incident, Told, Turn
from monitor.links import Links
from monitor.waiting import Waiting

_LABEL_WIDTH = 14
TEMPORAL = "temporal"
"""The service that is named when the server itself does not answer."""


class Notice(BaseModel):
    """One line of `<data>/alerts.jsonl`, and what each receiver gets."""

    id: str
    incident: str
    """The same in all notices of one incident, however it turned."""
    alert: str
    state: Turn
    severity: str
    task_queue: str | None
    service: str
    queue_state: QueueState
    since: datetime
    at: datetime
    waiting: int | None
    """How many orders; null when they could not be counted."""
    order_ids: list[str]
    """The ten oldest of them."""
    title: str
    text: str
    """The whole notification, the title its first line."""


def notice(told: Told, waiting: Waiting | None, oldest_seconds: float, at: float, links: Links) -> Notice:
    """`at` is a Unix time in seconds, `oldest_seconds` how long the oldest task has waited."""
    incident = told.incident
    queue = BY_NAME[incident.service].task_queue if incident.service in BY_NAME else None
    orders = waiting.orders if waiting else None
    order_ids = [order_id for order_id, _ in waiting.oldest] if waiting and told.turn is Turn.FIRING else []
    title = (
        _resolved(incident, queue, at)
        if told.turn is Turn.RESOLVED
        else summary(incident.service, queue, incident.state, orders, oldest_seconds)
    )
    links_to = links.of(incident.alert, queue, order_ids[0] if order_ids else None)
    told_of = {"Since": [_clock(incident.since)]}
    if told.turn is Turn.FIRING:
        if order_ids:
            told_of["Orders"] = [*order_ids, *(["…"] if (orders or 0) > len(order_ids) else [])]
        told_of |= {"Run": cures(incident)} | {name: [url] for name, url in links_to.items()}
    return Notice(
        id=f"{incident.id}/{told.turn}@{at:.0f}",
        incident=incident.id,
        alert=incident.alert,
        state=told.turn,
        severity=severity(incident.state),
        task_queue=queue,
        service=incident.service,
        queue_state=QueueState.OK if told.turn is Turn.RESOLVED else incident.state,
        since=datetime.fromtimestamp(incident.since, UTC),
        at=datetime.fromtimestamp(at, UTC),
        waiting=orders,
        order_ids=order_ids,
        title=title,
        text="\n".join([title, *_table(told_of)]),
    )


def _table(told_of: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"{f'{label}:' if number == 0 else '':<{_LABEL_WIDTH}}{value}"
        for label, values in told_of.items()
        for number, value in enumerate(values)
    ]


def severity(state: QueueState) -> str:
    return "warning" if state is QueueState.ABSENT else "critical"


def summary(service: str, task_queue: str | None, state: QueueState, orders: int | None, oldest_seconds: float) -> str:
    """One line. Prometheus' rules say it in the same words."""
    what = f"Task queue {task_queue} is {state}"
    match state:
        case QueueState.ABSENT:
            return f"{what}: no {service} worker is running; no order waits yet"
        case QueueState.ORPHANED:
            return f"{what}: {_waits(orders, 'tasks wait')} and no {service} worker is running"
        case QueueState.STALLED:
            told = f"{what}: {service} workers are running, but the oldest task has waited {oldest_seconds:.0f} s"
            return told if orders is None else f"{told}; {_waits(orders, '')}"
        case _:
            return "Temporal can't be reached: no order goes on, and the task queues' states are unknown"


def cures(incident: Incident) -> list[str]:
    """What to run: on the embedded platform, under Compose, on Kubernetes."""
    service = incident.service
    if incident.state is QueueState.STALLED:
        here, compose = f"orderflow stop {service}; orderflow start {service}", f"docker compose restart {service}"
    else:
        here, compose = f"orderflow start {service}", f"docker compose start {service}"
    return [here, compose, f"kubectl rollout restart deployment/{service}"]


def _resolved(incident: Incident, task_queue: str | None, at: float) -> str:
    lasted = f"after {_duration(at - incident.began)}"
    if incident.state is QueueState.UNKNOWN:
        return f"Temporal answers again, {lasted}"
    return f"Task queue {task_queue} is ok again, {lasted}: {incident.service} workers are running"


def _waits(orders: int | None, otherwise: str) -> str:
    if orders is None:
        return otherwise
    return "1 order waits" if orders == 1 else f"{orders} orders wait"


def _clock(since: float) -> str:
    return datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
