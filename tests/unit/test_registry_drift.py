"""The service registry is the single source: whatever else names services and steps agrees with it."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import click
import pytest
import yaml
from temporalio import activity

import workflow.order
from cli.main import main as command_line
from cli.platform import PlatformSettings, programs
from contracts.registry import SERVICES, STEPS, WORKERS
from contracts.steps import TELL_CUSTOMER
from workers.context import StepContext
from workers.database import database_url, open_database
from workers.migration import migrate
from workflow.policies import POLICIES

FURTHER_ACTIVITIES = {"notification": {TELL_CUSTOMER}}


@pytest.mark.parametrize("name", STEPS)
async def test_each_step_s_package_offers_its_activities(name: str, tmp_path: Path) -> None:
    """A step's package makes exactly the activity and the undo that the registry names, so that its queue is served."""
    url = database_url(None, name, tmp_path, "TEST_DATABASE_URL")
    database = open_database(url)
    await migrate(name, database)
    made = await import_module(f"workers.{name}").activities(StepContext(name, tmp_path, database))
    await database.close()
    offered = [activity._Definition.must_from_callable(function).name for function in made]
    step = STEPS[name]
    wanted = {step.activity} | ({step.undo} if step.undo else set()) | FURTHER_ACTIVITIES.get(name, set())
    assert set(offered) == wanted
    assert len(offered) == len(wanted)


def test_the_workflow_does_the_registry_s_steps_in_their_order() -> None:
    """The order workflow calls each of the registry's steps once, in the registry's order."""
    run = next(
        node
        for node in ast.walk(ast.parse(inspect.getsource(workflow.order)))
        if isinstance(node, ast.AsyncFunctionDef) and node.name == "run"
    )
    called = [
        node.args[0].value
        for node in sorted((n for n in ast.walk(run) if isinstance(n, ast.Call)), key=lambda call: call.lineno)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "_step" and isinstance(node.args[0], ast.Constant)
    ]
    assert called == list(STEPS)


def test_policies_are_for_steps_that_exist() -> None:
    """No step's bounds are written down for a step that the registry does not have."""
    assert POLICIES.keys() <= STEPS.keys()


@pytest.mark.parametrize(
    ("command", "services"),
    [
        ("worker", [service.name for service in WORKERS]),
        ("start", ["temporal", *(service.name for service in SERVICES)]),
        ("stop", ["temporal", *(service.name for service in SERVICES)]),
    ],
)
def test_the_command_line_s_choices(command: str, services: list[str]) -> None:
    """The command line knows every service of the registry by its name, and no other."""
    assert isinstance(command_line, click.Group)
    (argument,) = [p for p in command_line.commands[command].params if isinstance(p, click.Argument)]
    assert isinstance(argument.type, click.Choice)
    assert list(argument.type.choices) == services


def test_the_platform_s_programs() -> None:
    """The platform runs one program for each service, with its queue, and Temporal before them all."""
    run = programs(PlatformSettings())
    assert [program.name for program in run] == ["temporal", *(service.name for service in SERVICES)]
    assert {program.name: program.task_queue for program in run[1:]} == {s.name: s.task_queue for s in SERVICES}
    ports = [port for program in run for port in program.ports]
    assert len(set(ports)) == len(ports)
    for program, service in zip(run[1:], SERVICES, strict=True):
        assert program.command[1:] == (("worker", service.name) if service.task_queue else (service.name,))
        assert list(program.ports) == [service.port]
        assert f":{service.port}/" in program.health_url


def test_prometheus_scrapes_each_service() -> None:
    """Prometheus' configuration has each service of the registry at its port, and no other of ours."""
    path = Path(__file__).parents[2] / "observability" / "prometheus" / "prometheus.yml"
    jobs = [
        job for job in yaml.safe_load(path.read_text())["scrape_configs"] if job["job_name"].startswith("orderflow")
    ]
    scraped = {
        (static["labels"]["service"], target)
        for job in jobs
        for static in job["static_configs"]
        for target in static["targets"]
    }
    assert scraped == {(service.name, f"127.0.0.1:{service.port}") for service in SERVICES}
