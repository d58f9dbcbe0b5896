"""A worker's container is stopped: somebody is told, and told again when it is back."""

from tests.faults.checks import check_completed_once
from tests.support.eventually import eventually
from tests.support.stack import Stack


def test_shipping_stopped_and_started(stack: Stack) -> None:
    """`docker stop` of the shipping worker, and an order: web hook and mail say which queue is orphaned and which order
    waits. `docker start`: that it is over is told, and the order completes, having been shipped once."""
    stack.until_quiet()
    stack.stop("shipping")
    order_id = stack.place()
    firing = stack.hook.alert("firing", "TaskQueueOrphaned", 90, task_queue="shipping")
    assert order_id in firing["annotations"]["description"]
    assert "docker compose start shipping" in firing["annotations"]["description"]
    assert stack.order(order_id)["status"] == "shipping"
    summary = firing["annotations"]["summary"]
    eventually(lambda: [mail for mail in stack.mails() if mail.subject == summary], 60)
    stack.start("shipping")
    check_completed_once(stack, order_id)
    stack.hook.alert("resolved", "TaskQueueOrphaned", 120, task_queue="shipping")
    of_queues = {
        (name, alert["labels"]["task_queue"])
        for _, name, alert in stack.hook.alerts()
        if "task_queue" in alert["labels"]
    }
    assert of_queues <= {("TaskQueueOrphaned", "shipping"), ("TaskQueueAbsent", "shipping")}
    stack.until_quiet()
