"""The `orderflow` command."""

import asyncio
import sys
from typing import IO

import click

from contracts.registry import SERVICES, STEPS, WORKERS
from service.settings import SettingError
from telemetry.errors import TelemetrySettingError


class _OneLineErrors(click.Group):
    """A wrong setting ends in one line on stderr, not in a stack trace."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (SettingError, TelemetrySettingError) as error:
            click.echo(f"orderflow: {error}", err=True)
            sys.exit(2)


@click.group(cls=_OneLineErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="orderflow")
def main() -> None:
    """Orders on Temporal that can be followed from the HTTP request to the e-mail.

    \b
    The whole platform on this machine:   up, demo, status, stop, start, down
    What its processes say:               logs
    How its task queues do:               queues, doctor
    Orders, through the HTTP API:         order submit | show | list | cancel
    One service in the foreground:        api, worker <service>, monitor; migrate <step> before it

    Settings come from the environment: ORDERFLOW_* is ours, TEMPORAL_* is Temporal's.
    """


# Each command imports what it runs when it runs: a worker does not carry the API in its memory, nor a tool either.


@main.command()
def api() -> None:
    """Run the HTTP order API in the foreground, until Ctrl-C or SIGTERM.

    \b
    ORDERFLOW_API_HOST, ORDERFLOW_API_PORT   where it listens (127.0.0.1, 8080)
    ORDERFLOW_API_KEYS                       who may call; without it, loopback only
    TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE     which Temporal keeps the orders
    """
    from api.main import main as serve

    asyncio.run(serve())


@main.command()
@click.argument("services", nargs=-1, required=True, type=click.Choice([s.name for s in WORKERS]), metavar="SERVICE…")
def worker(services: tuple[str, ...]) -> None:
    """Run the worker of a SERVICE in the foreground, until Ctrl-C or SIGTERM: `order`, or one of the steps.

    With several services each gets a process of its own, and all end together.

    \b
    TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE     which Temporal it polls
    ORDERFLOW_<STEP>_DATABASE_URL            its database (SQLite in ORDERFLOW_DATA_DIR, or postgresql://…)
    ORDERFLOW_GRACEFUL_SHUTDOWN_SECONDS      how long it lets work finish when stopped (10)
    """
    if len(services) > 1:
        from cli.several import run_workers

        sys.exit(run_workers(services))
    if services[0] == "order":
        from workflow.worker import main as serve_orders

        asyncio.run(serve_orders())
    else:
        from workers.step_worker import main as serve_step

        asyncio.run(serve_step(services[0]))


@main.command()
@click.argument("steps", nargs=-1, required=True, type=click.Choice(list(STEPS)), metavar="STEP…")
def migrate(steps: tuple[str, ...]) -> None:
    """Bring the database of each STEP up to date, and end. Safe to repeat, and beside running workers.

    For a job before a deploy: a worker does it by itself at its start, unless ORDERFLOW_MIGRATE is false.

    \b
    ORDERFLOW_<STEP>_DATABASE_URL            which database (SQLite in ORDERFLOW_DATA_DIR, or postgresql://…)
    """
    from workers.step_worker import migrate_steps

    asyncio.run(migrate_steps(steps))


@main.command()
def monitor() -> None:
    """Run the queue monitor in the foreground, until Ctrl-C or SIGTERM: it tells when a worker type is not running.

    \b
    ORDERFLOW_ALERT_URLS                     whom to notify, as Apprise URLs (https://appriseit.com/services);
                                             each notification is in <data>/alerts.jsonl as well
    ORDERFLOW_MONITOR_INTERVAL_SECONDS       how often it looks (2)
    TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE     which Temporal it asks
    """
    from monitor.main import main as watch

    asyncio.run(watch())


@main.command()
@click.option("--detach", is_flag=True, help="Return when everything is ready, and leave it running.")
def up(detach: bool) -> None:
    """Start the whole platform on this machine: Temporal, the API and every worker, each its own process.

    Returns, or says so, when all are ready. Everything it writes is under .orderflow/ (ORDERFLOW_DATA_DIR), and a
    later `up` finds the orders again. Without --detach it stays until Ctrl-C and then stops everything.
    """
    from cli.commands import up as run

    run(detach)


@main.command()
def down() -> None:
    """Stop the whole platform. Orders under way stay where they are and go on at the next `up`."""
    from cli.commands import down as run

    run()


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for scripts.")
def status(as_json: bool) -> None:
    """Show what runs: each service's state, process id, task queue and health URL.

    A worker is `running` once the Temporal server has seen it poll its queue.
    """
    from cli.commands import status as run

    run(as_json)


_services = click.argument("service", type=click.Choice(["temporal", *(s.name for s in SERVICES)]), metavar="SERVICE")


@main.command()
@_services
def start(service: str) -> None:
    """Start one SERVICE of the running platform, and wait until it is ready. One that hangs is stopped first."""
    from cli.commands import start as run

    run(service)


@main.command()
@_services
def stop(service: str) -> None:
    """Stop one SERVICE of the running platform; work in its hands is finished or given back first."""
    from cli.commands import stop as run

    run(service)


@main.command()
@click.argument("order_id", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines as they come, until Ctrl-C.")
@click.option(
    "--service", "services", multiple=True, type=click.Choice([s.name for s in SERVICES]), help="Only its; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="The lines as they were written, for jq and the like.")
def logs(order_id: str | None, follow: bool, services: tuple[str, ...], as_json: bool) -> None:
    """Show the log lines of all services, merged in the order of their times; with ORDER_ID only those of that order.

    They come from <data>/logs/*.jsonl (ORDERFLOW_DATA_DIR), so it does not matter whether the platform is up. Times
    are UTC. In a line, `attempt=` is told from the second on.

    \b
    orderflow logs 01a20aa8-430c-71a2-8fe0-c2798b312c8c    what became of an order
    orderflow logs -f                                      what happens now
    orderflow logs --service payment --json | jq 'select(."log.level" != "info")'
    """
    from cli.log_commands import logs as run

    run(order_id, services or tuple(s.name for s in SERVICES), follow, as_json)


@main.command()
@click.option(
    "-w", "--watch", is_flag=True, help="Go on until Ctrl-C; without a terminal, tell each change of a state."
)
@click.option("--json", "as_json", is_flag=True, help="The API's answer as it is.")
def queues(watch: bool, as_json: bool) -> None:
    """Show how each task queue does: live workers, waiting tasks and orders, state; and what to run if it is unwell.

    \b
    ok         served
    absent     no live worker; nothing waits yet
    orphaned   no live worker, and tasks wait
    stalled    workers live, and yet tasks wait too long
    unknown    Temporal can't be asked

    in/s and out/s are tasks added and taken, over the last 30 s. Times are UTC.

    Exit status: 0 when every queue is ok; 1 when one is not, or when that can't be known.
    """
    from cli import queue_commands

    if not watch:
        queue_commands.show(as_json)
    elif as_json:
        raise click.UsageError("--watch and --json don't go together: ask again with --json as often as you like")
    else:
        queue_commands.watch()


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
def doctor(as_json: bool) -> None:
    """Look for what makes task queues go wrong, and say of each finding how to mend it.

    It asks Temporal, listens to the workers' heartbeats for some seconds, and asks the API, the queue monitor and this
    machine. It changes nothing.

    \b
    workers     on a queue that no service has, of two services on one queue, without heartbeats
    queues      that nobody polls, or not for all that they have
    versions    of orderflow and of the SDK that disagree
    clocks      that differ by more than 2 s
    Temporal    unreachable, without our namespace or search attributes
    here        API, queue monitor, data folder, ports

    TEMPORAL_ADDRESS, … say which Temporal, unless a platform is up in the data folder: then it is that one's.

    Exit status: 0 when nothing is wrong, or only warnings are told; 1 when there are errors.
    """
    from cli.doctor.command import doctor as run

    run(as_json)


@main.command()
def demo() -> None:
    """Start the platform and show, order by order, what it does; on a terminal it then stays up until Ctrl-C."""
    from cli.commands import demo as run

    run()


@main.command("api-key")
@click.argument("name")
def api_key(name: str) -> None:
    """Make a key for the caller NAME: the key for them, and its hash for ORDERFLOW_API_KEYS."""
    import secrets

    from api.auth import digest

    key = f"of_{secrets.token_urlsafe(32)}"
    click.echo(f"The key, shown only now:  {key}")
    click.echo(f"For ORDERFLOW_API_KEYS:   {name}:{digest(key)}")


@main.group()
def order() -> None:
    """Place, follow and cancel orders through the HTTP API (ORDERFLOW_API_URL, ORDERFLOW_API_KEY)."""


@order.command("submit")
@click.argument("file", type=click.File("r"), required=False)
@click.option("--sku", default="TEA-EARL-GREY", show_default=True, help="Without FILE: what to order.")
@click.option("--quantity", default=1, show_default=True, help="Without FILE: how many.")
@click.option("--payment-method", default="tok_visa", show_default=True, help="Without FILE: the payment token.")
@click.option("--postal-code", default="SW1Y 4JH", show_default=True, help="Without FILE: where to.")
@click.option("--idempotency-key", help="Repeating the call with the same key places no second order.")
@click.option("--wait", default=0, type=click.IntRange(0, 60), help="Seconds to wait for the order's end.")
@click.option("--json", "as_json", is_flag=True, help="The API's answer as it is.")
def order_submit(
    file: IO[str] | None,
    sku: str,
    quantity: int,
    payment_method: str,
    postal_code: str,
    idempotency_key: str | None,
    wait: int,
    as_json: bool,
) -> None:
    """Place the order in FILE (JSON as for POST /orders; - is stdin), or a sample order.

    The magic values in the README make the sample order meet trouble:

    \b
    orderflow order submit --wait 10
    orderflow order submit --payment-method tok_declined --wait 10
    """
    from cli import order_commands

    sent = order_commands.read(file) if file else order_commands.sample(sku, quantity, payment_method, postal_code)
    order_commands.submit(sent, idempotency_key, wait, as_json)


@order.command("show")
@click.argument("order_id")
@click.option("--json", "as_json", is_flag=True, help="The API's answer as it is.")
def order_show(order_id: str, as_json: bool) -> None:
    """Show one order: its status, and each step with its times and attempts."""
    from cli import order_commands

    order_commands.show(order_id, as_json)


@order.command("list")
@click.option("--status", "order_status", help="Only orders with this status, e.g. shipping.")
@click.option("--customer", help="Only this customer's orders.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 200))
@click.option("--json", "as_json", is_flag=True, help="The API's answer as it is.")
def order_list(order_status: str | None, customer: str | None, limit: int, as_json: bool) -> None:
    """List orders, running ones first."""
    from cli import order_commands

    order_commands.list_orders(order_status, customer, limit, as_json)


@order.command("cancel")
@click.argument("order_id")
@click.option("--wait", default=10, show_default=True, type=click.IntRange(0, 60), help="Seconds to wait for the end.")
@click.option("--json", "as_json", is_flag=True, help="The API's answer as it is.")
def order_cancel(order_id: str, wait: int, as_json: bool) -> None:
    """Cancel an order: what was done is undone. Refused once the parcel has left."""
    from cli import order_commands

    order_commands.cancel(order_id, wait, as_json)


if __name__ == "__main__":
    main()
