"""A trace in the headers of Temporal's calls."""

from collections.abc import Mapping

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter

_HEADER = "_tracer-data"
"""The SDK's own, so that a worker with its interceptor would be in the same trace."""
_payloads = PayloadConverter.default


def headers(traceparent: str) -> dict[str, Payload]:
    return {_HEADER: _payloads.to_payloads([{"traceparent": traceparent}])[0]} if traceparent else {}


def traceparent_in(headers: Mapping[str, Payload]) -> str:
    """Empty where there is none."""
    if _HEADER not in headers:
        return ""
    carrier: dict[str, str] = _payloads.from_payloads([headers[_HEADER]])[0]
    return carrier.get("traceparent", "")
