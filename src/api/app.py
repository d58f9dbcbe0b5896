"""The API put together."""

from collections.abc import Mapping

from fastapi import Depends, FastAPI

from api import problems
from api.auth import Authentication
from api.guard import Guard
from api.orders import Orders
from api.routes import health_router, orders_router


def create_app(orders: Orders, api_keys: Mapping[str, str]) -> FastAPI:
    app = FastAPI(
        title="orderflow",
        summary="Orders that can be followed, on Temporal.",
        version="0.1.0",
        description="Errors are RFC 9457 problem details (`application/problem+json`).",
    )
    app.state.orders = orders
    app.add_middleware(Guard)
    problems.install(app)
    app.include_router(orders_router, dependencies=[Depends(Authentication(api_keys))])
    app.include_router(health_router)
    return app
