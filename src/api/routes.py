"""The order API's calls."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from api.orders import Orders
from api.problems import MEDIA_TYPE, Problem, ProblemDetails
from api.queues import QueueMonitor, unreachable
from api.requests import CustomerId, PlaceOrder
from api.responses import EXAMPLE_QUEUES, Health, OrderAccepted, OrderHistory, OrderPage, OrderView
from api.views import refuse_if_too_late
from contracts.orders import ENDS, Status, workflow_id
from contracts.queues import Queues
from contracts.registry import STATUSES

_EXAMPLES: dict[int, tuple[str, str]] = {
    400: ("malformed-json", "The body is not valid JSON."),
    401: ("unauthorized", "A valid API key is needed: Authorization: Bearer <key>."),
    404: ("order-not-found", "There is no order with this id."),
    409: ("too-late-to-cancel", "The parcel has left, so the order can't be cancelled any more."),
    413: ("body-too-large", "The body may have 1048576 bytes at most."),
    415: ("unsupported-media-type", "The body must be application/json."),
    422: ("invalid-request", "The request is not valid; see errors."),
    503: ("temporal-unreachable", "The order system can't be reached; try again."),
}


def _responses(*problems: int, ended: str | None = None) -> dict[int | str, dict[str, Any]]:
    """What else a call can answer, for the OpenAPI document: `problems`, and 200 where it waits for the end."""
    documented: dict[int | str, dict[str, Any]] = {}
    if ended is not None:
        documented[200] = {"model": OrderView, "description": f"With `wait`: {ended}."}
    for status in problems:
        kind, detail = _EXAMPLES[status]
        example: dict[str, Any] = {
            "type": f"urn:orderflow:problem:{kind}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
        }
        if status == 422:
            example["errors"] = [
                {"field": "body.items.0.quantity", "detail": "Input should be greater than or equal to 1"}
            ]
        documented[status] = {
            "model": ProblemDetails,
            "description": detail,
            "content": {MEDIA_TYPE: {"example": example}},
        }
    return documented


def _orders(request: Request) -> Orders:
    orders: Orders = request.app.state.orders
    return orders


def _monitor(request: Request) -> QueueMonitor:
    monitor: QueueMonitor = request.app.state.monitor
    return monitor


def _json_only(content_type: Annotated[str, Header(include_in_schema=False)] = "") -> None:
    """Also keeps web pages of other origins from posting: a browser asks first for this type."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "unsupported-media-type", "The body must be application/json.")


def _known_status(status: Annotated[str | None, Query(examples=["shipping"])] = None) -> str | None:
    if status is not None and status not in STATUSES:
        raise Problem(422, "unknown-status", f"The status must be one of: {', '.join(STATUSES)}.")
    return status


MonitorDep = Annotated[QueueMonitor, Depends(_monitor)]
OrdersDep = Annotated[Orders, Depends(_orders)]
OrderId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$", description="A UUID.")]
Wait = Annotated[int, Query(ge=0, le=60, description="Seconds to wait for the order's end before answering.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="The same key and body gives the first answer again; another body is an error.",
    ),
]

orders_router = APIRouter(prefix="/orders", tags=["orders"])
health_router = APIRouter(tags=["health"])
queues_router = APIRouter(tags=["queues"])
metrics_router = APIRouter(tags=["health"])


@orders_router.post(
    "",
    status_code=202,
    response_model=OrderAccepted,
    summary="Place an order",
    dependencies=[Depends(_json_only)],
    responses=_responses(400, 401, 413, 415, 422, 503, ended="the order has ended"),
)
async def place_order(
    sent: PlaceOrder,
    orders: OrdersDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
    wait: Wait = 0,
) -> OrderAccepted | JSONResponse:
    """Accepts the order; what becomes of it is at `Location`."""
    placed = await orders.place(sent, idempotency_key)
    headers = {"Location": f"/orders/{placed.order_id}"}
    if placed.replayed:
        headers["Idempotent-Replayed"] = "true"
    if wait:
        ended = await _ended(orders, placed.order_id, wait)
        if ended is not None:
            return JSONResponse(ended.model_dump(mode="json"), 200, headers=headers)
    response.headers.update(headers)
    return OrderAccepted(
        order_id=placed.order_id,
        workflow_id=workflow_id(placed.order_id),
        status=Status.RECEIVED,
        trace_id=placed.trace_id,
    )


@orders_router.get("", summary="List orders", responses=_responses(401, 422, 503))
async def list_orders(
    orders: OrdersDep,
    status: Annotated[str | None, Depends(_known_status)],
    customer_id: Annotated[CustomerId | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=4096)] = None,
) -> OrderPage:
    """Running orders first, then the newest. New orders show within a second or so."""
    return await orders.page(status, customer_id, limit, cursor)


@orders_router.get("/{order_id}", summary="An order in full", responses=_responses(401, 404, 422, 503))
async def get_order(order_id: OrderId, orders: OrdersDep) -> OrderView:
    return await orders.get(order_id)


@orders_router.post(
    "/{order_id}/cancel",
    status_code=202,
    summary="Cancel an order",
    responses=_responses(401, 404, 409, 422, 503, ended="it is cancelled, and everything undone"),
)
async def cancel_order(order_id: OrderId, orders: OrdersDep, response: Response, wait: Wait = 0) -> OrderView:
    """Asks for everything to be undone. Once the parcel has left this is refused with 409."""
    view = await orders.cancel(order_id)
    if wait:
        ended = await _ended(orders, order_id, wait)
        if ended is not None:
            refuse_if_too_late(ended)
            response.status_code = 200
            return ended
    return view


@orders_router.get(
    "/{order_id}/history", summary="An order's steps, times and attempts", responses=_responses(401, 404, 422, 503)
)
async def order_history(order_id: OrderId, orders: OrdersDep) -> OrderHistory:
    return await orders.history(order_id)


@health_router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Health:
    return Health(status="ok")


@health_router.get(
    "/readyz",
    summary="Can it take orders?",
    responses={503: {"model": Health, "description": "Not now, and why."}},
)
async def readyz(orders: OrdersDep, response: Response) -> Health:
    try:
        await orders.reachable()
    except Problem as problem:
        response.status_code = 503
        return Health(status="unready", problems=[f"Temporal is not reachable: {problem.details.detail}"])
    return Health(status="ok")


@queues_router.get(
    "/queues",
    summary="How each task queue does",
    responses=_responses(401)
    | {
        200: {"content": {"application/json": {"example": EXAMPLE_QUEUES}}},
        503: {
            "model": ProblemDetails,
            "description": "The queue monitor can't be reached.",
            "content": {MEDIA_TYPE: {"example": unreachable().content()}},
        },
    },
)
async def queues(monitor: MonitorDep) -> Queues:
    """As of the queue monitor's newest look; when `looked_at` is long ago, nothing is known of now.

    A queue is `ok`, `absent` (no live worker), `orphaned` (tasks wait, no live worker), `stalled` (workers live, yet
    tasks wait too long) or `unknown` (Temporal can't be asked).
    """
    return await monitor.queues()


@metrics_router.get("/metrics", summary="For Prometheus", response_class=PlainTextResponse, responses=_responses(401))
async def metrics(request: Request) -> Response:
    content, content_type = request.app.state.exposition(request.headers.get("accept", ""))
    return Response(content, headers={"Content-Type": content_type})


async def _ended(orders: Orders, order_id: str, within_seconds: int) -> OrderView | None:
    """The order, once it has ended within that time."""
    await orders.ended(order_id, within_seconds)
    try:
        view = await orders.get(order_id)
    except Problem:
        return None  # The order is accepted all the same.
    return view if view.status in ENDS else None
