"""What our telemetry calls things. Where OpenTelemetry or ECS have a name for it, it is theirs."""

# On every span and log line that belongs to an order; the same words in both.
ORDER_ID = "order.id"
STEP = "orderflow.step"
OUTCOME = "orderflow.outcome"
"""How a step, an undo or an order came out."""
REASON = "orderflow.reason"
"""The code of a refusal."""
WORKFLOW_ID = "temporal.workflow_id"
RUN_ID = "temporal.run_id"
WORKFLOW_TYPE = "temporal.workflow_type"
ACTIVITY_TYPE = "temporal.activity_type"
TASK_QUEUE = "temporal.task_queue"
ATTEMPT = "temporal.attempt"

# Log lines (ECS).
EVENT_ACTION = "event.action"
DURATION = "event.duration"
"""Of an attempt, in nanoseconds, as ECS has it."""
ERROR_TYPE = "error.type"
ERROR_MESSAGE = "error.message"
NEXT_TRY_SECONDS = "orderflow.next_try_seconds"

# Spans. Temporal's own words, as its SDKs in every language have them, and one of ours: the wait in the task queue.
ORDER = "order"
START_WORKFLOW = "StartWorkflow"
CANCEL_WORKFLOW = "CancelWorkflow"
QUERY_WORKFLOW = "QueryWorkflow"
RUN_WORKFLOW = "RunWorkflow"
START_ACTIVITY = "StartActivity"
WAIT_ACTIVITY = "WaitActivity"
RUN_ACTIVITY = "RunActivity"

TRACE_MEMO = "traceparent"
"""The memo in which a workflow keeps its trace (W3C Trace Context), for whoever comes to it later."""
