"""Workers that poll before their first heartbeat."""

from monitor.newcomers import Newcomers


def test_who_was_there_before_is_nobody_new() -> None:
    """At the first look a poller may be a dead worker's, and stays without a sign of life."""
    found = Newcomers().after({"old"}, 10.0).after({"old"}, 12.0)
    assert found.ages_seconds(set(), 12.0) == [float("inf")]


def test_a_newcomer_ages_from_its_first_poll() -> None:
    """A poller that was not there at the look before is alive, and not for ever: more polls are no more signs."""
    found = Newcomers().after(set(), 10.0).after({"new"}, 12.0).after({"new"}, 14.0)
    assert found.ages_seconds(set(), 14.0) == [2.0]


def test_a_worker_that_was_heard_of_goes_by_its_heartbeats() -> None:
    """Once a heartbeat has come, or a goodbye, the list of pollers says nothing."""
    found = Newcomers().after(set(), 10.0).after({"new"}, 12.0)
    assert found.ages_seconds({"new"}, 12.0) == []


def test_one_that_comes_again_is_new_again() -> None:
    """A poller that the server had forgotten, as after its own restart, is a newcomer."""
    found = Newcomers().after({"a"}, 0.0).after(set(), 2.0).after({"a"}, 4.0)
    assert found.ages_seconds(set(), 5.0) == [1.0]
