"""What the queue monitor reads from a worker's heartbeat."""

from temporalio.api.worker.v1 import WorkerHeartbeat, WorkerSlotsInfo

from monitor.watch import has_free_slots


def test_a_worker_of_activities_alone_has_free_slots() -> None:
    """A step's worker, which has no slot for workflow tasks, counts as free while it can take an activity."""
    assert has_free_slots(WorkerHeartbeat(activity_task_slots_info=WorkerSlotsInfo(current_available_slots=1)))
    assert not has_free_slots(WorkerHeartbeat(activity_task_slots_info=WorkerSlotsInfo(current_used_slots=50)))


def test_a_worker_of_both_types_is_full_when_one_is() -> None:
    """The order worker counts as full when it can take no workflow task, whatever else it could take."""
    free, full = WorkerSlotsInfo(current_available_slots=1), WorkerSlotsInfo(current_used_slots=50)
    assert has_free_slots(WorkerHeartbeat(activity_task_slots_info=free, workflow_task_slots_info=free))
    assert not has_free_slots(WorkerHeartbeat(activity_task_slots_info=free, workflow_task_slots_info=full))
