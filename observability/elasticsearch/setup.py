"""Puts the templates of the logs' data stream: `python3 setup.py`, before the first line is shipped. Safe to repeat.

Without them Elasticsearch would make a plain index of that name, and the data stream could not be made any more.
`python3 setup.py kibana-user` gives Elasticsearch's user `kibana_system` the password KIBANA_PASSWORD instead: Kibana
may not be Elasticsearch's administrator, and the user that it may be has no password of its own at first.
Standard library only. ELASTICSEARCH_URL, ELASTICSEARCH_USERNAME, ELASTICSEARCH_PASSWORD, LOGS_RETENTION.
"""

import base64
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

HERE = Path(__file__).parent
PATIENCE_SECONDS = 120.0
DATA_STREAM = "logs-orderflow-default"

Asked = tuple[str, str, dict[str, Any]]
"""Method, path and body of a request."""


class SettingError(Exception):
    """A setting that can't be used. Its text is one line that names the setting."""


def retention(environment: Mapping[str, str]) -> str:
    """How long lines are kept, as Elasticsearch writes it: `30d`. Raises SettingError."""
    given = environment.get("LOGS_RETENTION") or "30d"
    if not re.fullmatch(r"[1-9]\d{0,4}[dhm]", given):
        raise SettingError("LOGS_RETENTION: not a time like 30d, 12h")
    return given


def templates(environment: Mapping[str, str]) -> list[Asked]:
    """What makes the data stream, in its order. Raises SettingError."""
    mappings = json.loads((HERE / "mappings.json").read_text())
    settings = json.loads((HERE / "settings.json").read_text())
    return [
        ("PUT", "/_component_template/orderflow-mappings", mappings),
        ("PUT", "/_component_template/orderflow-settings", settings),
        (
            "PUT",
            "/_index_template/logs-orderflow",
            {
                "index_patterns": ["logs-orderflow-*"],
                "data_stream": {},
                # Above Elasticsearch's own for logs-*-*, which has 100.
                "priority": 200,
                "composed_of": ["orderflow-mappings", "orderflow-settings"],
                "template": {"lifecycle": {"data_retention": retention(environment)}},
                "_meta": {
                    "description": "Log lines of orderflow, in ECS. Made by observability/elasticsearch/setup.py."
                },
            },
        ),
    ]


def kibana_user(environment: Mapping[str, str]) -> list[Asked]:
    """What gives Kibana's user its password. Raises SettingError."""
    if not environment.get("ELASTICSEARCH_PASSWORD") or not environment.get("KIBANA_PASSWORD"):
        raise SettingError("ELASTICSEARCH_PASSWORD, KIBANA_PASSWORD: must be set")
    body = {"password": environment["KIBANA_PASSWORD"]}
    return [("POST", "/_security/user/kibana_system/_password", body)]


def ask(url: str, method: str, path: str, body: dict[str, Any], credentials: str | None) -> None:
    """Raises HTTPError for an answer that is no, URLError for none."""
    headers = {"Content-Type": "application/json"}
    if credentials:
        headers["Authorization"] = "Basic " + base64.b64encode(credentials.encode()).decode()
    request = Request(url.rstrip("/") + path, json.dumps(body).encode(), headers, method=method)  # noqa: S310 - ours
    with urlopen(request, timeout=30) as answer:  # noqa: S310
        answer.read()


def main(arguments: list[str]) -> int:
    environment = os.environ
    make, done = (
        (kibana_user, "kibana-user: kibana_system has its password")
        if arguments == ["kibana-user"]
        else (templates, f"elasticsearch-setup: {DATA_STREAM} is ready")
    )
    try:
        wanted = make(environment)
    except SettingError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    url = environment.get("ELASTICSEARCH_URL") or "http://127.0.0.1:9200"
    password = environment.get("ELASTICSEARCH_PASSWORD")
    credentials = f"{environment.get('ELASTICSEARCH_USERNAME') or 'elastic'}:{password}" if password else None
    deadline = time.monotonic() + PATIENCE_SECONDS
    for method, path, body in wanted:
        while True:
            try:
                ask(url, method, path, body, credentials)
                break
            except HTTPError as error:
                if error.code not in (429, 503) or time.monotonic() > deadline:
                    sys.stderr.write(f"{path}: {error.code}: {error.read().decode(errors='replace')[:500]}\n")
                    return 1
            except (URLError, OSError) as error:
                if time.monotonic() > deadline:
                    sys.stderr.write(f"ELASTICSEARCH_URL: {url} can't be reached: {error}\n")
                    return 1
            time.sleep(1)
    sys.stdout.write(f"{done}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
