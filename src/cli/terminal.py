"""How the commands print."""

import sys

from rich.console import Console
from rich.table import Table

_WIDE = 240
"""Columns where there is no terminal to fit: a table in a pipe or a file must not be cut to anyone's window."""


def make_console() -> Console:
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE)


def make_table(first: str, *others: str) -> Table:
    """The first column is what the reader copies, so it stays whole; the others fold where the window is narrow."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(first, no_wrap=True)
    for header in others:
        table.add_column(header, overflow="fold")
    return table
