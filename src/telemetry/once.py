"""Telling a thing once, though it is done again.

Replay is told by the SDK. But a workflow task may be done twice without being a replay: when a query came between, and
the workflow is not kept in memory, or when the server did not take the task's result.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable

_MOST_REMEMBERED = 10_000


class Once:
    """Remembers the newest keys."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: OrderedDict[Hashable, None] = OrderedDict()

    def is_new(self, key: Hashable) -> bool:
        """True at the first call with this key."""
        with self._lock:
            if key in self._told:
                return False
            self._told[key] = None
            if len(self._told) > _MOST_REMEMBERED:
                self._told.popitem(last=False)
            return True
