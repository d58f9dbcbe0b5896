"""Ports of this machine that nobody has."""

import random
import socket

_given: set[int] = set()
"""Ports that were chosen, and may not be listened on yet."""


def free_port() -> int:
    # Below the ports from which the system takes those of connections, any of which could take it meanwhile.
    for port in random.sample(range(21_000, 32_000), 400):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        if port not in _given:
            _given.add(port)
            return port
    raise RuntimeError("no free ports")


def free_health_offset() -> int:
    """An offset at which the ports of all workers are free; at random, so that another run does not take the same."""
    for offset in random.sample(range(1000, 12_000, 50), 200):
        try:
            for port in range(8100 + offset, 8111 + offset):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return offset
    raise RuntimeError("no free ports")
