"""The API put together."""

from collections.abc import Mapping

from fastapi import Depends, FastAPI
from starlette.types import ASGIApp, Scope

from api import problems
from api.auth import Authentication
from api.guard import Guard
from api.orders import Orders
from api.queues import QueueMonitor
from api.routes import health_router, metrics_router, orders_router, queues_router
from telemetry.http import RequestRoots, fastapi_telemetry
from telemetry.logs import VERSION
from telemetry.metrics import Exposition


def create_app(orders: Orders, monitor: QueueMonitor, api_keys: Mapping[str, str], exposition: Exposition) -> ASGIApp:
    """`api_keys` maps names to digests; `exposition` gives what a scrape gets."""
    app = FastAPI(
        title="orderflow",
        summary="Orders that can be followed, on Temporal.",
        version=VERSION,
        description="Errors are RFC 9457 problem details (`application/problem+json`).",
        telemetry=fastapi_telemetry(frozenset({"/healthz", "/readyz", "/metrics"})),
    )
    app.state.orders = orders
    app.state.monitor = monitor
    app.state.exposition = exposition
    app.add_middleware(Guard)
    problems.install(app)
    authenticated = [Depends(Authentication(api_keys))]
    app.include_router(orders_router, dependencies=authenticated)
    app.include_router(queues_router, dependencies=authenticated)
    app.include_router(metrics_router, dependencies=authenticated)
    app.include_router(health_router)
    return RequestRoots(app, _starts_order)


def _starts_order(scope: Scope) -> bool:
    return bool(scope["method"] == "POST" and scope["path"] == "/orders")
