"""The Compose files as Docker itself reads them, and the images that they build."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from scripts.env import completed, with_key

from contracts.registry import SERVICES
from tests.conftest import lacking
from tests.support.containers import docker, engine
from tests.support.stack import ROOT

pytestmark = pytest.mark.containers

STACK = "docker-compose.observability.yml"
FILES = {
    "platform": ["docker-compose.yml"],
    "stack": [STACK],
    "without Kibana": [STACK, "observability/stack/without-kibana.yml"],
    "Jaeger 1": [STACK, "observability/jaeger/docker-compose.v1.yml"],
    "secure": [STACK, "docker-compose.secure.yml"],
    "secure, with stand-ins": [
        STACK,
        "observability/jaeger/docker-compose.v1.yml",
        "observability/stack/without-kibana.yml",
        "docker-compose.secure.yml",
    ],
    "service graph": [STACK, "observability/jaeger/service-graph.yml"],
    "for the tests": [STACK, "tests/integration/stack/receiver.yml"],
}
# The overlay's Kibana needs a user, which has a profile of its own where Kibana has one.
PROFILES = {
    "none": [],
    "kibana": ["kibana", "kibana-user"],
    "grafana": ["grafana"],
    "logstash": ["logstash"],
    "graph": ["service-graph"],
}
IMAGES = ["orderflow:local", "orderflow-rsyslog:local"]


@pytest.fixture(scope="module")
def env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        docker("compose", "version")
    except (AssertionError, OSError) as error:
        lacking(f"no Docker Compose: {error}")
    file = tmp_path_factory.mktemp("compose") / ".env"
    file.write_text(with_key(completed((ROOT / ".env.example").read_text(), ""), "tests", "of_key"))
    return file


def config(files: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [part for file in files for part in ("-f", str(ROOT / file))]
    return docker("compose", *paths, *arguments, "config", "--format", "json", check=False)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", FILES)
def test_compose_takes_each_file(env_file: Path, name: str, profile: str) -> None:
    """`docker compose config` has nothing to complain of in any file, overlay or profile, with an .env as made."""
    profiles = [part for one in PROFILES[profile] for part in ("--profile", one)]
    done = config(FILES[name], "--env-file", str(env_file), *profiles)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert {"api", "order", "monitor", "temporal", "postgres"} <= json.loads(done.stdout)["services"].keys()


@pytest.mark.parametrize("name", ["platform", "stack", "secure"])
def test_a_missing_secret_is_told(env_file: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a secret has no value Compose ends with the name of the setting, and what to run."""
    monkeypatch.setenv("SHIPPING_DB_PASSWORD", "")
    done = config(FILES[name], "--env-file", str(env_file))
    assert done.returncode != 0
    assert "SHIPPING_DB_PASSWORD is missing a value: run make env" in done.stderr


@pytest.fixture(scope="module")
def built(env_file: Path) -> None:
    """The images that are ours, as Compose builds them."""
    engine()
    docker("compose", "-f", str(ROOT / STACK), "--env-file", str(env_file), "build", timeout_seconds=900)


def in_image(image: str, script: str) -> str:
    """What a shell says as root in a container of this image, without a network."""
    return docker("run", "--rm", "--network", "none", "--user", "0", "--entrypoint", "sh", image, "-c", script).stdout


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_nobody_special(built: None, image: str) -> None:
    """An image's user is ours and not root, and can't write to what it runs."""
    assert docker("image", "inspect", "-f", "{{.Config.User}}", image).stdout.strip() == "10001:10001"
    writable = "find /etc /opt /usr /lib /bin /sbin -xdev \\( -user 10001 -o -group 10001 -o -perm -o+w \\) ! -type l"
    assert in_image(image, writable) == ""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_no_secret(built: None, image: str) -> None:
    """No password, token or key is in an image's environment and build steps, and no .env, certificate folder,
    repository or private key is among its files."""
    told = docker("image", "inspect", "-f", "{{json .Config.Env}}", image).stdout
    told += docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout
    assert not re.findall(r"(?i)\w*(?:password|secret|token|api_key)\w*=[^\s\",]+", told)
    files = (
        "find / -xdev \\( -name .env -o -name .git -o -name .certificates -o -name '*.key' \\) ! -path '/usr/share/*'"
    )
    assert in_image(image, files) == ""
    assert in_image(image, "grep -rlI -- '-----BEGIN [A-Z ]*PRIVATE KEY-----' /etc /opt /var /root /home || true") == ""


def test_what_is_elsewhere_can_be_left_out(env_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that docs/stack.md gives for those who have an Elasticsearch and a Temporal of their own is one that
    Compose takes: neither of ours is started, and every client has the other's address."""
    (example,) = re.findall(r"```yaml\n(services:\n.*?)```", (ROOT / "docs" / "stack.md").read_text(), re.DOTALL)
    (tmp_path / "elsewhere.yml").write_text(example)
    monkeypatch.setenv("TEMPORAL_API_KEY", "a-key")
    done = config([STACK, str(tmp_path / "elsewhere.yml")], "--env-file", str(env_file))
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert (
        not {"temporal", "temporal-schema", "temporal-namespace", "elasticsearch", "kibana", "jaeger"} & services.keys()
    )
    addresses = {name: services[name]["environment"]["TEMPORAL_ADDRESS"] for name in names()}
    assert addresses == dict.fromkeys(names(), "your-namespace.a1b2c.tmprl.cloud:7233")
    for name in ("rsyslog", "elasticsearch-setup"):
        assert services[name]["environment"]["ELASTICSEARCH_URL"] == "https://elastic.example:9200"


def names() -> list[str]:
    return [service.name for service in SERVICES]
