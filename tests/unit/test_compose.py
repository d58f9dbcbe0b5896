"""The Compose files agree with the service registry, with each other, and with what they promise of every container."""

import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts.env import SECRET, completed

from contracts.registry import SERVICES, STEPS
from contracts.search import CUSTOMER_ID, ORDER_STATUS

ROOT = Path(__file__).parents[2]
OBSERVABILITY = ROOT / "observability"


class _Loader(yaml.SafeLoader):
    """Compose's own tags say how files are merged; alone, a file is what stands in it."""


def _sequence(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node)


_Loader.add_constructor("!override", _sequence)


def compose(path: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((ROOT / path).read_text(), _Loader)
    return loaded


PLATFORM = compose("docker-compose.yml")["services"]
STACK = compose("docker-compose.observability.yml")["services"]
ALL = PLATFORM | STACK
JOBS = {name for name, service in ALL.items() if service["restart"].startswith("on-failure")}


def test_a_container_for_each_service() -> None:
    """Each service of the registry is a container of its own, and runs what the registry says."""
    ours = {name: service["command"] for name, service in PLATFORM.items() if service.get("image") == "orderflow:local"}
    workers = {s.name: ["worker", s.name] if s.task_queue else [s.name] for s in SERVICES}
    migrations = {f"{step}-migration": ["migrate", step] for step in STEPS}
    assert ours == workers | migrations


@pytest.mark.parametrize("step", STEPS)
def test_a_database_for_each_step(step: str) -> None:
    """A step's worker and its migration have the step's database, under its own user, and no other step's."""
    for name in (step, f"{step}-migration"):
        urls = {key: value for key, value in PLATFORM[name]["environment"].items() if key.endswith("_DATABASE_URL")}
        password = f"${{{step.upper()}_DB_PASSWORD:?run make env}}"
        assert urls == {f"ORDERFLOW_{step.upper()}_DATABASE_URL": f"postgresql://{step}:{password}@postgres/{step}"}
    assert f"{step.upper()}_DB_PASSWORD" in PLATFORM["postgres-setup"]["environment"]
    assert PLATFORM[step]["depends_on"][f"{step}-migration"] == {"condition": "service_completed_successfully"}


def test_every_service_tells_of_itself() -> None:
    """With somewhere for the signals to go, each service's traces go there, and Prometheus scrapes each."""
    telling = compose("observability/stack/services.yml")["services"]
    names = {service.name for service in SERVICES}
    assert {name for name, it in telling.items() if "OTEL_EXPORTER_OTLP_ENDPOINT" in it["environment"]} == names
    assert {target: labels for target, labels in scraped("stack").items() if labels in names} == {
        f"{name}:8080": name for name in names
    }


def scraped(folder: str) -> dict[str, str]:
    jobs = yaml.safe_load((OBSERVABILITY / folder / "prometheus.yml").read_text())["scrape_configs"]
    configs = [config for job in jobs for config in job["static_configs"]]
    return {target: config["labels"]["service"] for config in configs for target in config["targets"]}


def test_prometheus_does_the_same_everywhere() -> None:
    """The stack's Prometheus differs from the embedded platform's in its targets, which include the log shipper."""

    def without_targets(folder: str) -> Any:
        configuration = yaml.safe_load((OBSERVABILITY / folder / "prometheus.yml").read_text())
        jobs = configuration["scrape_configs"]
        jobs[:] = [job for job in jobs if job["job_name"] != "log-shipper"]
        for config in [
            *(config for job in jobs for config in job["static_configs"]),
            *(config for one in configuration["alerting"]["alertmanagers"] for config in one["static_configs"]),
        ]:
            config["targets"] = len(config["targets"])
        return configuration

    assert without_targets("stack") == without_targets("prometheus")


@pytest.mark.parametrize("name", ALL)
def test_containers_are_confined(name: str) -> None:
    """Each container is pinned, limited in memory, without privileges, and starts again when it fails."""
    confined(ALL[name])


def confined(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"[\w./-]+:(\d[\w.]*|v\d[\w.]*|local)", service["image"])
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert service["restart"] in ("unless-stopped", "on-failure:30")
    assert "privileged" not in service


@pytest.mark.parametrize("name", ALL)
def test_only_this_machine_reaches_the_containers(name: str) -> None:
    """Every published port is on loopback, and can be changed by a setting."""
    for port in ALL[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+_PORT:-\d+\}:\d+", port)


@pytest.mark.parametrize("name", [name for name, it in ALL.items() if it.get("image") == "orderflow:local"])
def test_ours_can_t_write_but_where_they_have_to(name: str) -> None:
    """Our containers have a read-only root file system."""
    assert ALL[name]["read_only"] is True


def test_every_job_is_waited_for() -> None:
    """Something waits for each job to be done; else `up --wait` would take its end for a fault."""
    waited_for = {
        name
        for service in ALL.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert waited_for == JOBS


def test_the_stack_comes_up_without_kibana() -> None:
    """What is left out where Kibana can't be had, is left out whole: nothing else needs it."""
    left_out = compose("observability/stack/without-kibana.yml")["services"]
    assert all(service["profiles"] for service in left_out.values())
    assert {"kibana", "kibana-setup"} <= left_out.keys()
    needed = {
        dependency
        for name, service in ALL.items()
        if name not in left_out
        for dependency, how in service.get("depends_on", {}).items()
        if how.get("required", True)
    }
    assert not needed & left_out.keys()


@pytest.mark.parametrize("name", ["elasticsearch-setup", "kibana-setup"])
def test_what_a_job_runs_is_mounted(name: str) -> None:
    """A job's script comes from this repository, read-only, and is there under the name that is run."""
    [mount] = STACK[name]["volumes"]
    source, target, mode = mount.split(":")
    script = Path(STACK[name]["entrypoint"][1])
    assert mode == "ro"
    assert (ROOT / source / script.relative_to(target)).is_file()


def test_no_secret_in_a_file() -> None:
    """Each password comes from .env, and a file that names one without a value does not start."""
    for path in (
        "docker-compose.yml",
        "docker-compose.observability.yml",
        "docker-compose.secure.yml",
        "observability/stack/services.yml",
    ):
        for line in (ROOT / path).read_text().splitlines():
            for name in re.findall(r"(\w*(?:PASSWORD|PWD|_API_KEY|ENCRYPTIONKEY)\w*):", line.split("#")[0]):
                assert re.search(r"\$\{|: [&*]\w", line), f"{path}: {name}"
    example = (ROOT / ".env.example").read_text()
    assert all(line.endswith("=") for line in example.splitlines() if line.partition("=")[0].endswith(SECRET))
    files = ("docker-compose.yml", "docker-compose.secure.yml")
    used = {name for file in files for name in re.findall(r"\$\{(\w+):\?", (ROOT / file).read_text())}
    assert used - {"ORDERFLOW_API_KEYS"} == set(re.findall(rf"^(\w+(?:{'|'.join(SECRET)}))=", example, re.MULTILINE))


def test_the_search_attributes_are_ours() -> None:
    """The namespace gets the search attributes that orders are found by."""
    script = (ROOT / "deploy/temporal/namespace.sh").read_text()
    assert f"for name in {ORDER_STATUS.name} {CUSTOMER_ID.name};" in script


def test_an_env_file_has_secrets_of_its_own() -> None:
    """`make env` fills in a random value for each empty password, keeps what is there, and adds what is missing."""
    example = "# Passwords.\nA_PASSWORD=\nB_PASSWORD=\nPORT=1\n"
    made = completed(example, "")
    values = dict(re.findall(r"^(\w+)=(.*)$", made, re.MULTILINE))
    assert made.startswith("# Passwords.\n")
    assert len({values["A_PASSWORD"], values["B_PASSWORD"]}) == 2
    assert all(len(values[name]) >= 32 for name in ("A_PASSWORD", "B_PASSWORD"))
    assert values["PORT"] == "1"
    assert completed(example, made) == made
    later = completed(example, "A_PASSWORD=mine\nPORT=2")
    assert later.startswith("A_PASSWORD=mine\nPORT=2\nB_PASSWORD=")
    assert later.count("\n") == 3


@pytest.mark.parametrize("script", sorted((ROOT / "deploy").glob("*/*.sh")), ids=lambda path: path.name)
def test_scripts_can_be_read_by_any_user(script: Path) -> None:
    """What is mounted into a container can be read by that container's user, who is not its owner."""
    assert script.stat().st_mode & stat.S_IROTH
