"""rsyslog's counters, as Prometheus reads them."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from observability.rsyslog.exporter import Inbox, LogShipper
from prometheus_client.core import CollectorRegistry

from tests.support.eventually import eventually
from tests.support.serving import serving

# As rsyslog 8.2302 writes them.
ELASTICSEARCH = {"name": "omelasticsearch", "origin": "omelasticsearch", "submitted": 25, "response.success": 20}
LINES = {"name": "lines", "origin": "dynstats.bucket", "values": {"refused": 3, "unreadable": 2}}
QUEUES = [
    {"name": "ship", "origin": "core.queue", "size": 4, "enqueued": 30},
    {"name": "answered", "origin": "core.queue", "size": 1, "enqueued": 3},
    {"name": "counters", "origin": "core.queue", "size": 9, "enqueued": 99},
]


def exported(shipper: LogShipper) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(shipper)
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


@contextmanager
def inbox(shipper: LogShipper) -> Iterator[socket.socket]:
    """A connection to where rsyslog sends its counters."""
    server = Inbox(("127.0.0.1", 0), shipper)
    with serving(server), socket.create_connection(("127.0.0.1", int(server.server_address[1]))) as connection:
        yield connection


def test_what_became_of_the_lines() -> None:
    """What rsyslog sends over TCP is what is exported: each outcome, zero included, and what waits in the two queues
    that hold lines."""
    shipper = LogShipper(lambda: 1234.5)
    with inbox(shipper) as connection:
        for report in (ELASTICSEARCH, LINES, *QUEUES):
            connection.sendall(json.dumps(report).encode() + b"\n")
        eventually(lambda: exported(shipper), is_it=lambda it: it.get("orderflow_log_shipper_queue_lines") == 5)
    assert exported(shipper) == {
        "orderflow_log_shipper_lines_totalstored": 20,
        "orderflow_log_shipper_lines_totalknown": 0,
        "orderflow_log_shipper_lines_totalrefused": 3,
        "orderflow_log_shipper_lines_totalunreadable": 2,
        "orderflow_log_shipper_queue_lines": 5,
        "orderflow_log_shipper_reported_timestamp_seconds": 1234.5,
    }


def test_what_is_not_known_is_not_zero() -> None:
    """Before rsyslog has told its counters, and of what is no counter of its, nothing is exported."""
    shipper = LogShipper()
    for line in (b"", b"no json", b"[1]", b'"x"', b'{"origin": "core.queue"}', json.dumps(QUEUES[0]).encode()):
        shipper.hear(line)
    assert exported(shipper) == {}
