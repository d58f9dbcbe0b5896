"""Heartbeats for every activity, so that a dead worker is noticed and a cancellation arrives."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor


class Heartbeats(Interceptor):
    """Beats three times within the heartbeat timeout while an activity runs."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        timeout = activity.info().heartbeat_timeout
        if timeout is None:
            return await super().execute_activity(input)
        beats = asyncio.create_task(_beat(timeout))
        try:
            return await super().execute_activity(input)
        finally:
            beats.cancel()


async def _beat(timeout: timedelta) -> None:
    # At least every second: a heartbeat's answer is also how a cancellation gets here.
    interval_seconds = min(1.0, timeout.total_seconds() / 3)
    while True:
        await asyncio.sleep(interval_seconds)
        activity.heartbeat()
