"""What `orderflow queues` does."""

import json
import sys
import time
from datetime import UTC, datetime
from typing import NoReturn

import click
from pydantic import ValidationError
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from cli.order_client import ApiError, ClientSettings, OrderClient
from cli.queue_view import all_ok, is_stale, view
from cli.terminal import make_console
from contracts.queues import Queues
from service.settings import load

_EVERY_SECONDS = 2.0
"""As often as the monitor looks."""

console = make_console()


def show(as_json: bool) -> None:
    """Ends the process with 1 unless every queue is known to be ok."""
    try:
        answer = OrderClient(load(ClientSettings)).queues()
        queues = _parsed(answer)
    except ApiError as error:
        raise click.ClickException(str(error)) from None
    now = datetime.now(UTC)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        console.print(view(queues, now, console.width), soft_wrap=False)
    sys.exit(0 if all_ok(queues, now) else 1)


def watch() -> None:
    """Until Ctrl-C, whatever happens meanwhile."""
    client = OrderClient(load(ClientSettings))
    try:
        if console.is_terminal:
            _watch_in_place(client)
        _watch_changes(client)
    except KeyboardInterrupt:
        pass


def _watch_in_place(client: OrderClient) -> NoReturn:
    seen = _Seen(client)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(seen.look(), refresh=True)
            time.sleep(_EVERY_SECONDS)


def _watch_changes(client: OrderClient) -> NoReturn:
    """For a pipe or a file: again only when a state has changed, with the time."""
    seen, told = _Seen(client), None
    while True:
        shown = seen.look()
        if seen.states() != told:
            told = seen.states()
            console.print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
            console.print(shown, soft_wrap=False)
            console.file.flush()
        time.sleep(_EVERY_SECONDS)


def _parsed(answer: object) -> Queues:
    try:
        return Queues.model_validate(answer)
    except ValidationError:
        raise ApiError("what answers as the API does not tell the queues' states") from None


class _Seen:
    """The newest answer, and why there is no newer one."""

    def __init__(self, client: OrderClient) -> None:
        self._client = client
        self._queues: Queues | None = None
        self._trouble: str | None = None

    def look(self) -> RenderableType:
        """Asks, and gives what to show; the answer before when there is no other, marked when it is old."""
        try:
            self._queues, self._trouble = _parsed(self._client.queues()), None
        except ApiError as error:
            self._trouble = str(error)
        shown = [view(self._queues, datetime.now(UTC), console.width)] if self._queues else []
        return Group(*shown, *([Text(f"No answer now: {self._trouble}", "bold red")] if self._trouble else []))

    def states(self) -> tuple[object, ...]:
        """What a change of is worth telling."""
        states = [one.state for one in self._queues.queues] if self._queues else []
        stale = self._queues is not None and is_stale(self._queues, datetime.now(UTC))
        return (*states, stale, self._trouble is not None)
