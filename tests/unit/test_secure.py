"""docker-compose.secure.yml: certificates for whoever talks to Temporal, passwords and keys for everyone else."""

import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from observability.prometheus.with_key import ConfigurationError, write
from observability.prometheus.with_key import with_key as configuration_with_key
from scripts.env import with_key

from api.auth import digest
from api.settings import ApiSettings
from contracts.registry import SERVICES, STEPS
from service.settings import load
from service.temporal import connect_config
from tests.unit.test_compose import ALL, ROOT, STACK, compose, confined

OVERLAY = compose("docker-compose.secure.yml")
SECURE: dict[str, Any] = OVERLAY["services"]
NEW = {name for name in SECURE if name not in ALL}
DEMANDED = r"\$\{[A-Z_]+:\?[^}]+\}"


def environment(name: str) -> dict[str, str]:
    """What a service has in its environment, with the overlay."""
    both: dict[str, str] = ALL.get(name, {}).get("environment", {}) | SECURE[name].get("environment", {})
    return both


def waits_for(name: str, job: str) -> bool:
    return bool(SECURE[name]["depends_on"][job]["condition"] == "service_completed_successfully")


def mounted(name: str, at: str) -> str:
    """The volume that a service has there, to read."""
    (found,) = (volume for volume in SECURE[name]["volumes"] if volume.endswith(f":{at}:ro"))
    return str(found.split(":")[0])


@pytest.mark.parametrize("name", [service.name for service in SERVICES])
def test_each_service_shows_its_certificate(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each service asks Temporal with a certificate, and trusts our authority alone: what the SDK reads says so."""
    folder = "/run/certificates"
    assert mounted(name, folder) == "client-certificates"
    assert waits_for(name, "certificates")
    for file in ("ca.pem", "client.pem", "client.key"):
        (tmp_path / file).write_text(file)
    for key, value in environment(name).items():
        if key.startswith("TEMPORAL_"):
            monkeypatch.setenv(key, value.replace(folder, str(tmp_path)))
    tls = connect_config()["tls"]
    assert not isinstance(tls, bool)
    assert tls.server_root_ca_cert == b"ca.pem"
    assert tls.client_cert == b"client.pem"
    assert tls.client_private_key == b"client.key"


def test_whoever_else_asks_temporal_shows_one_too() -> None:
    """Nobody who asks Temporal is without a certificate, and each can read its key, whatever user it runs as."""
    clients = {name for name, it in ALL.items() if "TEMPORAL_ADDRESS" in it.get("environment", {})}
    # These have the same settings, and ask their database alone.
    clients -= {f"{step}-migration" for step in STEPS}
    for name in clients:
        assert mounted(name, "/run/certificates") == "client-certificates", name
        assert waits_for(name, "certificates")
        ours = ALL[name]["image"] == "orderflow:local"
        assert ours or SECURE[name]["group_add"] == ["10001"], name
    ui = environment("temporal-ui")
    assert ui["TEMPORAL_TLS_ENABLE_HOST_VERIFICATION"] == "true"
    assert ui["TEMPORAL_DISABLE_WRITE_ACTIONS"] == "true"


def test_temporal_asks_for_certificates() -> None:
    """Temporal refuses who has none, at its front and among its parts; only it has its key."""
    settings = environment("temporal")
    assert settings["TEMPORAL_TLS_REQUIRE_CLIENT_AUTH"] == "true"
    for side in ("FRONTEND", "SERVER"):
        assert settings[f"TEMPORAL_TLS_{side}_CERT"] == "/run/certificates/temporal.pem"
        assert settings[f"TEMPORAL_TLS_{side}_KEY"] == "/run/certificates/temporal.key"
    for trusted in ("TEMPORAL_TLS_CLIENT1_CA_CERT", "TEMPORAL_TLS_SERVER_CA_CERT"):
        assert settings[trusted] == "/run/certificates/ca.pem"
    having = {
        name for name, it in SECURE.items() if "temporal-certificates:/run/certificates:ro" in it.get("volumes", [])
    }
    assert having == {"temporal"}
    assert SECURE["temporal"]["ports"] == ["${TEMPORAL_BIND:-127.0.0.1}:${TEMPORAL_PORT:-7233}:7233"]


def test_the_authority_s_key_stays_out_of_containers() -> None:
    """No container gets the key that signs certificates, nor all of the folder that it is in."""
    text = (ROOT / "docker-compose.secure.yml").read_text()
    sources = set(re.findall(r"\$\{CERTIFICATES_DIR:-\./\.certificates\}([^\s\",]*)", text))
    assert sources == {"/temporal", "/client"}
    assert text.count(".certificates") == len(sources)
    assert "certificates" not in (ROOT / ".dockerignore").read_text()
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert ".certificates/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_api_wants_keys() -> None:
    """The API does not start without keys, however it is reached."""
    api = environment("api")
    assert re.fullmatch(DEMANDED, api["ORDERFLOW_API_KEYS"])
    assert api["ORDERFLOW_TRUSTED_NETWORK"] == "false"


def test_elasticsearch_wants_a_password() -> None:
    """Elasticsearch asks for a password, and each that asks it, by its address, has one."""
    elasticsearch = environment("elasticsearch")
    assert elasticsearch["xpack.security.enabled"] == "true"
    assert re.fullmatch(DEMANDED, elasticsearch["ELASTIC_PASSWORD"])
    asking = {
        name
        for name, it in ALL.items()
        if {"ELASTICSEARCH_URL", "ELASTICSEARCH_HOSTS"} & set(it.get("environment", {}))
    }
    assert asking >= {"elasticsearch-setup", "rsyslog", "kibana", "jaeger", "logstash"}
    for name in asking | {"grafana"}:
        assert re.fullmatch(DEMANDED, environment(name)["ELASTICSEARCH_PASSWORD"]), name
        assert environment(name)["ELASTICSEARCH_USERNAME"] == ("kibana_system" if name == "kibana" else "elastic")
    jaeger = yaml.safe_load((ROOT / "observability/jaeger/config.yaml").read_text())
    backend = jaeger["extensions"]["jaeger_storage"]["backends"]["orders"]["elasticsearch"]
    assert backend["auth"]["basic"] == {
        "username": "${env:ELASTICSEARCH_USERNAME:-}",
        "password": "${env:ELASTICSEARCH_PASSWORD:-}",
    }


def test_passwords_are_on_no_command_line() -> None:
    """No command and no health check has a secret among its arguments: those, everyone on the machine can read."""
    secrets = re.compile(r"(?<!\$)\$\{?\w*(?:PASSWORD|KEY)")
    for name, service in (ALL | SECURE).items():
        for part in (service.get("command"), service.get("entrypoint"), service.get("healthcheck", {}).get("test")):
            assert not secrets.search(str(part).replace("$$", "")), name
    (_, check) = SECURE["elasticsearch"]["healthcheck"]["test"]
    # printf is the shell's own: no process of its own is started for it.
    assert check.startswith("printf ")
    assert "curl -fsS -K -" in check


def test_kibana_goes_with_its_user() -> None:
    """Kibana is no administrator of Elasticsearch; its user gets a password first, and both can be left out."""
    kibana = environment("kibana")
    assert kibana["ELASTICSEARCH_USERNAME"] == "kibana_system"
    assert waits_for("kibana", "kibana-user")
    assert environment("kibana-user")["KIBANA_PASSWORD"] == kibana["ELASTICSEARCH_PASSWORD"]
    assert set(compose("observability/stack/without-kibana.yml")["services"]) >= {"kibana", "kibana-user"}
    assert all("profiles" in it for it in compose("observability/stack/without-kibana.yml")["services"].values())


def test_prometheus_has_a_key() -> None:
    """Prometheus runs as without the overlay, but for the API's key, which it alone can read."""

    def arguments(of: dict[str, Any]) -> list[str]:
        return [argument for argument in of["prometheus"]["command"] if not argument.startswith("--config.file=")]

    assert arguments(SECURE) == arguments(STACK)
    assert "--config.file=/etc/prometheus/with-key/prometheus.yml" in SECURE["prometheus"]["command"]
    assert mounted("prometheus", "/etc/prometheus/with-key") == "prometheus-config"
    assert SECURE["prometheus-setup"]["user"] == "65534:65534"
    before = (ROOT / "observability/stack/prometheus.yml").read_text()
    after = yaml.safe_load(configuration_with_key(before))
    expected = yaml.safe_load(before)
    # From a folder below the rules' own.
    expected["rule_files"] = ["../rules/*.yml"]
    (job,) = (job for job in expected["scrape_configs"] if job["job_name"] == "orderflow")
    job["authorization"] = {"credentials_file": "api-key"}
    assert after == expected
    with pytest.raises(ConfigurationError):
        configuration_with_key(before.replace("# authorization", "# authorisation"))


def test_the_key_s_file_is_its_owner_s(tmp_path: Path) -> None:
    """What is written with the key in it can be written again, and be read by its owner alone."""
    for text in ("one", "two"):
        write(tmp_path / "api-key", text)
    assert (tmp_path / "api-key").read_text() == "two"
    assert stat.S_IMODE((tmp_path / "api-key").stat().st_mode) == 0o400
    assert [file.name for file in tmp_path.iterdir()] == ["api-key"]


@pytest.mark.parametrize("name", sorted(NEW))
def test_the_overlay_s_jobs_are_confined(name: str) -> None:
    """What the overlay adds is confined as every container is, and is waited for."""
    confined(SECURE[name])
    assert SECURE[name]["read_only"] is True
    assert SECURE[name].get("cap_add", []) == (["CHOWN", "DAC_OVERRIDE"] if name == "certificates" else [])
    assert any(name in it.get("depends_on", {}) for it in SECURE.values())


def test_the_overlay_opens_nothing_else() -> None:
    """Every other port stays where it was, and nothing that confines a container is loosened."""
    loosening = {"ports", "privileged", "cap_drop", "security_opt", "read_only", "network_mode", "image"}
    assert {name: loosening & set(it) for name, it in SECURE.items() if name not in NEW and loosening & set(it)} == {
        "temporal": {"ports"}
    }


def test_a_caller_s_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make api-key` adds a caller's key and Prometheus', keeps the others, and the API takes what it wrote."""
    text = "A=1\nORDERFLOW_API_KEYS=\nPROMETHEUS_API_KEY=scraping\nB=2\n"
    once = with_key(text, "shop", "of_first")
    twice = with_key(once, "till", "of_second")
    assert once.splitlines()[0::2] == text.splitlines()[0::2]
    (line,) = re.findall(r"^ORDERFLOW_API_KEYS=(.*)$", twice, re.MULTILINE)
    monkeypatch.setenv("ORDERFLOW_API_KEYS", line)
    assert load(ApiSettings).api_keys == {
        "shop": digest("of_first"),
        "prometheus": digest("scraping"),
        "till": digest("of_second"),
    }
    for refused in ("shop", "prometheus", "", "a:b", "a,b"):
        with pytest.raises(ValueError, match=r"^NAME: "):
            with_key(twice, refused, "of_third")
