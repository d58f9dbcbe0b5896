"""The one error that steps share: a business refusal."""

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

REFUSAL = "Refusal"
"""The error type by which the workflow's retry policies know a refusal: it is an answer, so it is never retried."""


class Refusal(ApplicationError):
    """A step says no, and promises that it had no effect (declined, out of stock, undeliverable).

    Raised in activities only. `code` is a snake_case word for programs, `message` one sentence without personal
    data. The category keeps Temporal from logging and counting an answer as a fault.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, code, type=REFUSAL, non_retryable=True, category=ApplicationErrorCategory.BENIGN)
        self.code = code
