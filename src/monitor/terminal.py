"""Notifications as coloured blocks on a terminal."""

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from monitor.incidents import Turn
from monitor.notices import Notice


class Terminal:
    name = "terminal"

    def __init__(self) -> None:
        # Lines of the log go to stdout.
        self._console = Console(stderr=True, highlight=False)

    async def deliver(self, notice: Notice) -> None:
        self._console.print(block(notice))


def block(notice: Notice) -> Panel:
    style = "green" if notice.state is Turn.RESOLVED else ("red" if notice.severity == "critical" else "yellow")
    title = f" {notice.alert} {notice.state} "
    return Panel(Text(notice.text), title=title, title_align="left", border_style=f"bold {style}", expand=False)
