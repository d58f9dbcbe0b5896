"""Where a person looks further. Only what is configured."""

import json
import re
from dataclasses import dataclass
from urllib.parse import quote

_WORD_BEGINS = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Links:
    """Base addresses, without a slash at the end."""

    namespace: str = "default"
    runbooks: str = "docs/runbooks"
    temporal_ui: str | None = None
    jaeger: str | None = None
    kibana: str | None = None
    console: str | None = None

    def runbook(self, alert: str) -> str:
        return f"{self.runbooks}/{_WORD_BEGINS.sub('-', alert).lower()}.md"

    def of(self, alert: str, task_queue: str | None, order_id: str | None) -> dict[str, str]:
        """By name. Those to a single order are to `order_id`, the one that waits the longest."""
        found = {"Runbook": self.runbook(alert)}
        if self.temporal_ui and task_queue:
            found["Temporal UI"] = f"{self.temporal_ui}/namespaces/{self.namespace}/task-queues/{task_queue}"
        if order_id is None:
            return found
        if self.temporal_ui:
            found["Oldest order"] = f"{self.temporal_ui}/namespaces/{self.namespace}/workflows/order-{order_id}"
        if self.jaeger:
            tags = quote(json.dumps({"order.id": order_id}))
            found["Jaeger"] = f"{self.jaeger}/search?service=api&tags={tags}"
        if self.kibana:
            query = quote(f"(query:(language:kuery,query:'order.id:\"{order_id}\"'))", safe="()',:")
            found["Kibana"] = f"{self.kibana}/app/discover#/?_a={query}"
        if self.console:
            found["Console"] = f"{self.console}/orders/{order_id}"
        return found
