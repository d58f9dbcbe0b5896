"""The script that makes Alertmanager's configuration from settings, held by amtool."""

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.rules import alerts
from tests.support.alerting import render
from tests.support.processes import tool

WEBHOOK = {"ORDERFLOW_ALERT_WEBHOOK_URL": "https://hooks.example/a?key=S3CRET"}
SLACK = {"ORDERFLOW_ALERT_SLACK_URL": "https://hooks.slack.example/services/T/B/S3CRET"}
MAIL = {"ORDERFLOW_ALERT_MAIL_TO": "night@shop.example, day@shop.example", "ORDERFLOW_SMTP_HOST": "mail.shop.example"}
LOGIN = {"ORDERFLOW_SMTP_USERNAME": "shop", "ORDERFLOW_SMTP_PASSWORD": "S3CRET \"'{}: ü😀\\"}
WATCHDOG = {"ORDERFLOW_ALERT_WATCHDOG_URL": "https://watch.example/S3CRET"}
COMBINATIONS: dict[str, dict[str, str]] = {
    "none": {},
    "webhook": WEBHOOK,
    "slack": SLACK,
    "mail": MAIL,
    "mail with login": MAIL | LOGIN,
    "mail by TLS": MAIL | {"ORDERFLOW_SMTP_PORT": "465", "ORDERFLOW_SMTP_SECURITY": "tls"},
    "mail in the clear, IPv6": MAIL | {"ORDERFLOW_SMTP_HOST": "::1", "ORDERFLOW_SMTP_SECURITY": "none"},
    "watchdog": WATCHDOG,
    "all": WEBHOOK | SLACK | MAIL | LOGIN | WATCHDOG,
    "empty is unset": {"ORDERFLOW_ALERT_WEBHOOK_URL": "", "ORDERFLOW_ALERT_MAIL_TO": " "},
}


def rendered(file: Path, settings: dict[str, str]) -> dict[str, Any]:
    done = render(file, settings)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def amtool(*arguments: str) -> str:
    done = subprocess.run([tool("amtool"), *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("settings", COMBINATIONS.values(), ids=COMBINATIONS.keys())
def test_alertmanager_takes_the_configuration(tmp_path: Path, settings: dict[str, str]) -> None:
    """Whatever is set, amtool finds nothing wrong with the file, and only its owner can read it."""
    file = tmp_path / "alertmanager.yml"
    rendered(file, settings)
    amtool("check-config", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("settings", COMBINATIONS.values(), ids=COMBINATIONS.keys())
def test_each_alert_goes_to_people_but_the_watchdog(tmp_path: Path, settings: dict[str, str]) -> None:
    """Every alert reaches the people's receiver, and the watchdog only its own, whatever is set."""
    file = tmp_path / "alertmanager.yml"
    rendered(file, settings)
    for name in alerts():
        labels = [f"alertname={name}", "severity=critical", "service=shipping"]
        told = amtool("config", "routes", "test", f"--config.file={file}", *labels)
        assert told == ("watchdog" if name == "Watchdog" else "people"), name


def test_every_receiver_that_is_set_is_told(tmp_path: Path) -> None:
    """Each setting adds its receiver and each tells resolutions too; a receiver that is not set is not there."""
    people, watchdog = rendered(tmp_path / "all", COMBINATIONS["all"])["receivers"]
    assert set(people) == {"name", "webhook_configs", "slack_configs", "email_configs"}
    assert all(people[kind][0]["send_resolved"] for kind in set(people) - {"name"})
    assert watchdog["webhook_configs"][0]["url"] == WATCHDOG["ORDERFLOW_ALERT_WATCHDOG_URL"]
    assert people["email_configs"][0]["to"] == "night@shop.example, day@shop.example"
    assert rendered(tmp_path / "none", {})["receivers"] == [{"name": "people"}, {"name": "watchdog"}]


def test_a_file_that_is_there_is_replaced(tmp_path: Path) -> None:
    """An older file, readable by all, is replaced by one that only the owner can read."""
    file = tmp_path / "alertmanager.yml"
    file.write_text("old")
    file.chmod(0o644)
    rendered(file, WEBHOOK)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("setting", "settings"),
    [
        ("ORDERFLOW_ALERT_WEBHOOK_URL", {"ORDERFLOW_ALERT_WEBHOOK_URL": "S3CRET"}),
        ("ORDERFLOW_ALERT_WEBHOOK_URL", {"ORDERFLOW_ALERT_WEBHOOK_URL": "http://S3CRET:port"}),
        ("ORDERFLOW_ALERT_WEBHOOK_URL", {"ORDERFLOW_ALERT_WEBHOOK_URL": "http://a b/S3CRET"}),
        ("ORDERFLOW_ALERT_SLACK_URL", {"ORDERFLOW_ALERT_SLACK_URL": "ftp://a/S3CRET"}),
        ("ORDERFLOW_ALERT_WATCHDOG_URL", {"ORDERFLOW_ALERT_WATCHDOG_URL": "https:///S3CRET"}),
        ("ORDERFLOW_ALERT_MAIL_TO", MAIL | {"ORDERFLOW_ALERT_MAIL_TO": "night@shop.example,"}),
        ("ORDERFLOW_ALERT_MAIL_TO", MAIL | {"ORDERFLOW_ALERT_MAIL_TO": "S3CRET"}),
        ("ORDERFLOW_SMTP_HOST", {"ORDERFLOW_ALERT_MAIL_TO": "night@shop.example"}),
        ("ORDERFLOW_SMTP_PORT", MAIL | {"ORDERFLOW_SMTP_PORT": "65536"}),
        ("ORDERFLOW_SMTP_PORT", MAIL | {"ORDERFLOW_SMTP_PORT": "smtp"}),
        ("ORDERFLOW_SMTP_SECURITY", MAIL | {"ORDERFLOW_SMTP_SECURITY": "ssl"}),
        ("ORDERFLOW_SMTP_SECURITY", MAIL | {"ORDERFLOW_SMTP_SECURITY": "tls"}),
        ("ORDERFLOW_SMTP_SECURITY", MAIL | {"ORDERFLOW_SMTP_PORT": "465"}),
        ("ORDERFLOW_SMTP_USERNAME", MAIL | {"ORDERFLOW_SMTP_PASSWORD": "S3CRET"}),
        ("ORDERFLOW_SMTP_PASSWORD", MAIL | {"ORDERFLOW_SMTP_USERNAME": "S3CRET"}),
        ("ORDERFLOW_MAIL_FROM", MAIL | {"ORDERFLOW_MAIL_FROM": "S3CRET"}),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(tmp_path: Path, setting: str, settings: dict[str, str]) -> None:
    """A setting that can't be used ends in one line that names it, without its value, and leaves no file."""
    done = render(tmp_path / "alertmanager.yml", settings)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{setting}: ")
    assert done.stderr.count("\n") == 1
    assert "S3CRET" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    """A file that can't be written ends in one line that names it."""
    done = render(tmp_path / "none" / "alertmanager.yml", {})
    assert (done.returncode, done.stderr) == (
        1,
        f"{tmp_path / 'none' / 'alertmanager.yml'}: No such file or directory\n",
    )
