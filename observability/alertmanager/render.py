"""Writes Alertmanager's configuration from the environment: `python3 render.py FILE`. See docs/alerting.md.

Alertmanager reads no environment variables. Standard library only: this runs where nothing of ours is installed.
The file holds secrets, so only its owner can read it. It is JSON, which is YAML too and needs no quoting rules of ours.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

QUEUE_ALERTS = "TaskQueueAbsent|TaskQueueOrphaned|TaskQueueStalled"
UNSERVED = "TaskQueueAbsent|TaskQueueOrphaned"

_TITLE = (
    "{{ $of := .Alerts.Firing }}{{ if not $of }}Resolved: {{ $of = .Alerts.Resolved }}{{ end }}"
    "{{ (index $of 0).Annotations.summary }}{{ if gt (len .Alerts) 1 }} (1 of {{ len .Alerts }}){{ end }}"
)
_TEXT = (
    '{{ range .Alerts }}{{ if eq .Status "resolved" }}Resolved{{ else }}{{ .Labels.severity | title }}{{ end }}: '
    "{{ .Annotations.summary }}\n"
    '{{ if eq .Status "firing" }}{{ .Annotations.description }}\n'
    "Runbook:      {{ .Annotations.runbook_url }}\n{{ end }}\n{{ end }}"
)


class SettingError(Exception):
    """A setting that can't be used. Its text is one line that names the setting, and never its value."""


def configuration(environment: Mapping[str, str]) -> dict[str, Any]:
    """Alertmanager's configuration. Raises SettingError."""
    given = {name: value for name, value in environment.items() if value.strip()}
    watchdog = _watchdog(given)
    return {
        **_mail_server(given),
        "route": {
            "receiver": "people",
            "group_by": ["alertname", "service"],
            "group_wait": "15s",
            "group_interval": "1m",
            "repeat_interval": "4h",
            "routes": [
                {"receiver": "watchdog", "matchers": ['alertname="Watchdog"'], **_at_once("1m")},
                # One group a service: a queue that is absent, then orphaned, is one story. In groups of their own the
                # first alert, silenced while it resolves, would count as told for hours and not be told again.
                {
                    "receiver": "people",
                    "matchers": [f'alertname=~"{QUEUE_ALERTS}|ServiceDown|QueueMonitorGone|TemporalUnreachable"'],
                    "group_by": ["service"],
                    **_at_once("4h"),
                },
            ],
        },
        "inhibit_rules": [
            _silences("TemporalUnreachable", QUEUE_ALERTS),
            _silences("TaskQueueOrphaned", "TaskQueueAbsent|TaskQueueStalled", "task_queue"),
            _silences(UNSERVED, "ServiceDown", "service"),
            # Both about the monitor: no other service's alert bears its name.
            _silences("QueueMonitorGone", "ServiceDown", "service"),
        ],
        "receivers": [
            {"name": "people", **_webhook(given), **_slack(given), **_mail(given)},
            {"name": "watchdog", **watchdog},
        ],
    }


def write(file: Path, content: dict[str, Any]) -> None:
    """Whole or not at all, and at no moment for others to read. Raises OSError."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            # Not escaped: YAML has no surrogate pairs.
            json.dump(content, opened, ensure_ascii=False, indent=2)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def _at_once(repeat: str) -> dict[str, str]:
    """The monitor and the rules have waited already; these two seconds let what belongs together arrive together."""
    return {"group_wait": "2s", "group_interval": "5s", "repeat_interval": repeat}


def _silences(sources: str, targets: str, *equal: str) -> dict[str, Any]:
    return {
        "source_matchers": [f'alertname=~"{sources}"'],
        "target_matchers": [f'alertname=~"{targets}"'],
        "equal": list(equal),
    }


def _webhook(given: Mapping[str, str]) -> dict[str, Any]:
    url = _url(given, "ORDERFLOW_ALERT_WEBHOOK_URL")
    return {"webhook_configs": [{"url": url, "send_resolved": True}]} if url else {}


def _watchdog(given: Mapping[str, str]) -> dict[str, Any]:
    url = _url(given, "ORDERFLOW_ALERT_WATCHDOG_URL")
    return {"webhook_configs": [{"url": url, "send_resolved": False}]} if url else {}


def _slack(given: Mapping[str, str]) -> dict[str, Any]:
    url = _url(given, "ORDERFLOW_ALERT_SLACK_URL")
    return {"slack_configs": [{"api_url": url, "send_resolved": True, "title": _TITLE, "text": _TEXT}]} if url else {}


def _mail(given: Mapping[str, str]) -> dict[str, Any]:
    to = given.get("ORDERFLOW_ALERT_MAIL_TO")
    if to is None:
        return {}
    if "ORDERFLOW_SMTP_HOST" not in given:
        raise SettingError("ORDERFLOW_SMTP_HOST: needed for ORDERFLOW_ALERT_MAIL_TO")
    addresses = [address.strip() for address in to.split(",")]
    if not all(_is_address(address) for address in addresses):
        raise SettingError("ORDERFLOW_ALERT_MAIL_TO: not mail addresses, separated by commas")
    mail = {
        "to": ", ".join(addresses),
        "send_resolved": True,
        "html": "",
        "text": _TEXT,
        "headers": {"Subject": _TITLE},
    }
    return {"email_configs": [mail]}


def _mail_server(given: Mapping[str, str]) -> dict[str, Any]:
    if "ORDERFLOW_ALERT_MAIL_TO" not in given or "ORDERFLOW_SMTP_HOST" not in given:
        return {}
    host, port = given["ORDERFLOW_SMTP_HOST"], given.get("ORDERFLOW_SMTP_PORT", "587")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise SettingError("ORDERFLOW_SMTP_PORT: not a port")
    security = given.get("ORDERFLOW_SMTP_SECURITY", "starttls")
    if security not in ("starttls", "tls", "none"):
        raise SettingError("ORDERFLOW_SMTP_SECURITY: not one of starttls, tls, none")
    # That is how Alertmanager tells the two apart.
    if (security == "tls") != (int(port) == 465):
        raise SettingError("ORDERFLOW_SMTP_SECURITY: Alertmanager begins with TLS on port 465, and on no other port")
    sender = given.get("ORDERFLOW_MAIL_FROM", "orders@orderflow.example")
    if not _is_address(sender):
        raise SettingError("ORDERFLOW_MAIL_FROM: not a mail address")
    server = {"smtp_smarthost": _with_port(host, port), "smtp_from": sender, "smtp_require_tls": security == "starttls"}
    name, password = given.get("ORDERFLOW_SMTP_USERNAME"), given.get("ORDERFLOW_SMTP_PASSWORD")
    if (name is None) != (password is None):
        raise SettingError(f"ORDERFLOW_SMTP_{'USERNAME' if name is None else 'PASSWORD'}: missing, the other is set")
    if name is not None:
        server |= {"smtp_auth_username": name, "smtp_auth_password": password}
    return {"global": server}


def _with_port(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_address(text: str) -> bool:
    name, at, domain = text.rpartition("@")
    return bool(name and at and domain) and not any(letter.isspace() or letter in ',;<>"{}' for letter in text)


def _url(given: Mapping[str, str], name: str) -> str | None:
    url = given.get(name)
    if url is None:
        return None
    url = url.strip()
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or any(letter.isspace() for letter in url):
        raise SettingError(f"{name}: not an http or https URL")
    return url


def main() -> int:
    if len(sys.argv) != 2:
        sys.stderr.write("usage: render.py FILE\n")
        return 2
    file = Path(sys.argv[1])
    try:
        write(file, configuration(os.environ))
    except SettingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{file}: {error.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
