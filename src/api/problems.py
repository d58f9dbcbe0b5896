"""Errors as RFC 9457 problem details. Nothing a client sent is ever echoed."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from contracts.cards import contains_card_number

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


class FieldError(BaseModel):
    """`field` is where, as a path from the part of the request: `body.items.0.quantity`."""

    field: str
    detail: str


class ProblemDetails(BaseModel):
    """RFC 9457. `errors` is our extension and names each field that is wrong."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class Problem(Exception):
    """An answer that is an error. `kind` becomes the problem's type."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: list[FieldError] | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers
        self.details = ProblemDetails(
            type=f"urn:orderflow:problem:{kind}",
            title=HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            errors=errors or [],
        )
        self.members = members

    def content(self) -> dict[str, Any]:
        content = self.details.model_dump() | self.members
        if not self.details.errors:
            del content["errors"]
        return content

    def response(self) -> JSONResponse:
        return JSONResponse(self.content(), self.status, headers=self.headers, media_type=MEDIA_TYPE)


def invalid(errors: list[FieldError]) -> Problem:
    return Problem(422, "invalid-request", "The request is not valid; see errors.", errors=errors)


def malformed() -> Problem:
    return Problem(400, "malformed-json", "The body is not valid JSON.")


def card_number(field: str) -> Problem:
    detail = "looks like a payment card number; send a token instead"
    return Problem(
        422,
        "card-number",
        "Card numbers are not accepted in any field; nothing was stored.",
        # A name may hold half a character, which can't be written.
        errors=[FieldError(field=field.encode("utf-8", "replace").decode(), detail=detail)],
    )


def unreachable() -> Problem:
    return Problem(
        503, "temporal-unreachable", "The order system can't be reached; try again.", headers={"Retry-After": "2"}
    )


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> JSONResponse:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = error.errors()
        if any(e["type"] == "json_invalid" for e in errors):
            return malformed().response()
        return invalid([_field_error(e) for e in errors]).response()

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:  # How FastAPI tells of a body that it could not decode.
            return malformed().response()
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        return Problem(error.status_code, kind, str(error.detail), headers=error.headers).response()

    @app.exception_handler(Exception)
    async def _defect(_: Request, error: Exception) -> JSONResponse:
        _log.error("unhandled error", exc_info=error)
        return Problem(500, "internal-error", "Something went wrong on our side.").response()


def _field_error(error: Mapping[str, Any]) -> FieldError:
    field = ".".join(str(part) for part in error["loc"])
    # The texts of these are built from the value itself.
    custom = {"value_error", "assertion_error"}
    detail = str(error["msg"]).removeprefix("Value error, ")
    if "@" in detail or "email" in detail.lower():
        detail = "is not a valid e-mail address"
    elif error["type"] in custom and contains_card_number(detail):
        detail = "is not valid"
    return FieldError(field=field, detail=detail)
