"""A worker's health, judged from what the Temporal server saw of it."""

import pytest

from service.health import STALE_HEARTBEAT_SECONDS, STALE_POLL_SECONDS, Sighting, problems
from service.temporal import identity

FRESH = {"poll_age_seconds": 1.0, "heartbeat_age_seconds": 1.0, "free_slots": 10}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="polls and beats"),
        pytest.param({"poll_age_seconds": STALE_POLL_SECONDS - 1}, id="is in a long poll"),
        pytest.param({"heartbeat_age_seconds": None, "free_slots": None}, id="has just begun"),
        pytest.param({"poll_age_seconds": 3600.0, "free_slots": 0}, id="is busy with all it can take"),
        pytest.param({"heartbeat_age_seconds": STALE_HEARTBEAT_SECONDS - 1}, id="missed a heartbeat"),
    ],
)
def test_a_worker_that_works_is_well(changes: dict[str, float | None]) -> None:
    """A worker that polls as it should, or rightly does not because it is busy, has no problem."""
    assert problems(Sighting(**(FRESH | changes))) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"poll_age_seconds": None}, ["not seen this worker poll"], id="never polled"),
        pytest.param({"poll_age_seconds": STALE_POLL_SECONDS + 1}, ["last poll 91 s ago"], id="polling is dead"),
        pytest.param(
            {"poll_age_seconds": 200.0, "free_slots": None}, ["last poll 200 s ago"], id="slots are not known"
        ),
        pytest.param({"heartbeat_age_seconds": 60.0}, ["last heartbeat 60 s ago"], id="process is dead"),
        pytest.param(
            {"poll_age_seconds": 200.0, "free_slots": 0, "heartbeat_age_seconds": 60.0},
            ["last heartbeat 60 s ago"],
            id="died while busy",
        ),
        pytest.param(
            {"poll_age_seconds": 200.0, "heartbeat_age_seconds": 60.0}, ["last poll", "last heartbeat"], id="both"
        ),
    ],
)
def test_a_worker_that_does_not_work_says_why(changes: dict[str, float | None], told: list[str]) -> None:
    """A worker that the server does not see work is unwell, and each reason is told."""
    found = problems(Sighting(**(FRESH | changes)))  # type: ignore[arg-type]
    assert len(found) == len(told)
    assert all(part in line for part, line in zip(told, found, strict=True))


def test_no_two_processes_have_one_name() -> None:
    """A process that is started again in its container, with its old process id, is not taken for its predecessor."""
    assert len({identity("shipping") for _ in range(50)}) == 50
