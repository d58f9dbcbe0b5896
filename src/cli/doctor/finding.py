"""One thing that is wrong. Plain data."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `kind` names it for scripts; `why` is empty where it is plain."""

    severity: Severity
    kind: str
    what: str
    why: str
    cure: str
