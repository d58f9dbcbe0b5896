"""What the API answers."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from contracts.orders import OrderProgress

_ORDER_ID = "01936f5e-7c1a-7d3e-9b52-3f8a6c1d2e4f"
_TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
_RECEIVED = "2026-01-15T09:30:00Z"


class OrderAccepted(BaseModel):
    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "order_id": _ORDER_ID,
                    "workflow_id": f"order-{_ORDER_ID}",
                    "status": "received",
                    "trace_id": _TRACE_ID,
                }
            ]
        }
    }

    order_id: str
    workflow_id: str
    status: str
    trace_id: str | None = Field(default=None, description="The trace that holds all that becomes of the order.")


class OrderView(OrderProgress):
    """An order in full."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "order_id": _ORDER_ID,
                    "workflow_id": f"order-{_ORDER_ID}",
                    "customer_id": "c-1001",
                    "status": "refused",
                    "currency": "EUR",
                    "amount_minor": 2500,
                    "received_at": _RECEIVED,
                    "updated_at": "2026-01-15T09:30:01Z",
                    "ended_at": "2026-01-15T09:30:01Z",
                    "steps": [
                        {
                            "step": "payment",
                            "state": "refused",
                            "reference": None,
                            "started_at": _RECEIVED,
                            "ended_at": "2026-01-15T09:30:01Z",
                        }
                    ],
                    "reason": {"code": "card_declined", "message": "The card was declined."},
                    "cancellable": False,
                    "cancellation": None,
                    "trace_id": _TRACE_ID,
                    "as_of": "now",
                }
            ]
        }
    }

    workflow_id: str
    trace_id: str | None = Field(default=None, description="The trace that holds all that became of the order.")
    as_of: Literal["now", "last_known"] = Field(
        description="`last_known`: no order worker answered, so this is the newest state on record."
    )


class OrderSummary(BaseModel):
    order_id: str
    workflow_id: str
    customer_id: str
    status: str
    currency: str | None
    amount_minor: int | None
    received_at: datetime
    ended_at: datetime | None


class OrderPage(BaseModel):
    """`next_cursor` is given back as `cursor` to get the next page; null on the last."""

    # No nulls: FastAPI leaves them out of examples.
    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "orders": [
                        {
                            "order_id": _ORDER_ID,
                            "workflow_id": f"order-{_ORDER_ID}",
                            "customer_id": "c-1001",
                            "status": "completed",
                            "currency": "EUR",
                            "amount_minor": 2500,
                            "received_at": _RECEIVED,
                            "ended_at": "2026-01-15T09:30:01Z",
                        }
                    ],
                    "next_cursor": "0pT1mZbJ9kR7eyJDbG9zZVRpbWUiOiIyMDI2In0=",
                }
            ]
        }
    }

    orders: list[OrderSummary]
    next_cursor: str | None


class StepHistory(BaseModel):
    """One activity of an order, as Temporal's history has it. `waited_seconds` is the time in the task queue."""

    step: str
    activity: str
    task_queue: str
    state: Literal["scheduled", "started", "completed", "failed", "timed_out", "cancelled"]
    attempts: int
    scheduled_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    waited_seconds: float | None = None
    failure: str | None = Field(default=None, description="The type of the last failure.")


class OrderHistory(BaseModel):
    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "order_id": _ORDER_ID,
                    "workflow_id": f"order-{_ORDER_ID}",
                    "steps": [
                        {
                            "step": "payment",
                            "activity": "take_payment",
                            "task_queue": "payment",
                            "state": "completed",
                            "attempts": 1,
                            "scheduled_at": _RECEIVED,
                            "started_at": "2026-01-15T09:30:00.005Z",
                            "ended_at": "2026-01-15T09:30:00.030Z",
                            "waited_seconds": 0.005,
                            "failure": None,
                        }
                    ],
                }
            ]
        }
    }

    order_id: str
    workflow_id: str
    steps: list[StepHistory]


EXAMPLE_QUEUES = {
    "looked_at": _RECEIVED,
    "queues": [
        {
            "task_queue": "shipping",
            "service": "shipping",
            "state": "orphaned",
            "since": "2026-01-15T09:29:12Z",
            "live_workers": 0,
            "heartbeat_age_seconds": 48.2,
            "backlog": 1,
            "oldest_seconds": 48.0,
            "added_per_second": 0.02,
            "dispatched_per_second": 0.0,
            "waiting_orders": 1,
            "oldest_order_ids": [_ORDER_ID],
        }
    ],
}


class Health(BaseModel):
    status: Literal["ok", "unready"]
    problems: list[str] = []
