"""Imports the *.ndjson beside it into Kibana: `python3 setup.py`. Safe to repeat: what Kibana has of them is replaced.

The files are as Kibana exports them, so that an object is changed there, exported, and kept here.
Standard library only. KIBANA_URL, KIBANA_USERNAME, KIBANA_PASSWORD, JAEGER_URL.
"""

import base64
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

HERE = Path(__file__).parent
PATIENCE_SECONDS = 300.0
JAEGER_IN_FILES = "http://127.0.0.1:16686"
_NOT_YET = (429, 502, 503, 504)
_BOUNDARY = "orderflow-saved-objects"


class SettingError(Exception):
    """A setting that can't be used. Its text is one line that names the setting, and never its value."""


class Failed(Exception):
    """Kibana did not take the objects. Its text says why."""


@dataclass(frozen=True, slots=True)
class Settings:
    kibana_url: str
    jaeger_url: str
    """Of a browser's view: links in Kibana lead there."""
    credentials: str | None = None


def settings(environment: Mapping[str, str]) -> Settings:
    """Raises SettingError."""
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    user, password = given.get("KIBANA_USERNAME"), given.get("KIBANA_PASSWORD")
    if user and not password:
        raise SettingError("KIBANA_PASSWORD: is needed with KIBANA_USERNAME")
    return Settings(
        kibana_url=_address(given, "KIBANA_URL", "http://127.0.0.1:5601"),
        jaeger_url=_address(given, "JAEGER_URL", JAEGER_IN_FILES),
        credentials=f"{user or 'elastic'}:{password}" if password else None,
    )


def _address(given: Mapping[str, str], name: str, default: str) -> str:
    address = given.get(name, default).rstrip("/")
    try:
        parts = urlsplit(address)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    # It gets into JSON, and Kibana's templates, as it is. A name and password have settings of their own.
    if not known or re.search(r"[\s\x00-\x1f\"'\\<>{}@?#]", address):
        raise SettingError(f"{name}: not an address like {default}")
    return address


def saved_objects(folder: Path, jaeger_url: str) -> bytes:
    """All objects of the folder's files, one a line. One import, so that they may refer to each other."""
    lines = [
        line.replace(JAEGER_IN_FILES, jaeger_url)
        for file in sorted(folder.glob("*.ndjson"))
        for line in file.read_text(encoding="utf-8").splitlines()
        # An export ends with a line that counts what is in it.
        if line.strip() and "exportedCount" not in json.loads(line)
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def wait(to: Settings, deadline: float) -> None:
    """Returns when Kibana is ready. Raises Failed."""
    _ask(to, "/api/status", None, deadline)


def put(to: Settings, objects: bytes, deadline: float) -> int:
    """Returns how many objects Kibana took. Raises Failed."""
    # By the file's name Kibana knows its format.
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="orderflow.ndjson"\r\n'
    body = f"{head}Content-Type: application/ndjson\r\n\r\n".encode() + objects + f"\r\n--{_BOUNDARY}--\r\n".encode()
    answer = _ask(to, "/api/saved_objects/_import?overwrite=true", body, deadline)
    # What it refuses, it tells in an answer of 200.
    if answer.get("success") is not True:
        refused = "; ".join(_reason(error) for error in answer.get("errors") or [])
        raise Failed(f"refused: {refused or json.dumps(answer)[:500]}")
    return int(answer.get("successCount", 0))


def _ask(to: Settings, path: str, body: bytes | None, deadline: float) -> dict[str, Any]:
    headers = {"kbn-xsrf": "orderflow"}
    if body is not None:
        headers["Content-Type"] = f"multipart/form-data; boundary={_BOUNDARY}"
    if to.credentials:
        headers["Authorization"] = "Basic " + base64.b64encode(to.credentials.encode()).decode()
    while True:
        try:
            request = Request(to.kibana_url + path, body, headers)  # noqa: S310 - ours
            with urlopen(request, timeout=60) as answer:  # noqa: S310
                found = json.loads(answer.read())
                return found if isinstance(found, dict) else {}
        except HTTPError as error:
            said = f"{path}: {error.code}: {error.read().decode(errors='replace')[:500]}"
            if error.code not in _NOT_YET or time.monotonic() > deadline:
                raise Failed(said) from None
        except ValueError:
            raise Failed(f"KIBANA_URL: what answers at {to.kibana_url} is not Kibana") from None
        except (OSError, HTTPException) as error:
            if time.monotonic() > deadline:
                raise Failed(f"KIBANA_URL: {to.kibana_url} can't be reached: {error}") from None
        time.sleep(1)


def _reason(error: Mapping[str, Any]) -> str:
    """Of one object: which, and what is wrong with it."""
    cause = error.get("error") or {}
    missing = ", ".join(f"{one.get('type')} {one.get('id')}" for one in cause.get("references") or [])
    what = cause.get("message") or missing
    return f"{error.get('type')} {error.get('id')}: {cause.get('type')}" + (f": {what}" if what else "")


def main() -> int:
    try:
        to = settings(os.environ)
    except SettingError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        wait(to, deadline)
        taken = put(to, saved_objects(HERE, to.jaeger_url), deadline)
    except Failed as error:
        sys.stderr.write(f"kibana-setup: {error}\n")
        return 1
    sys.stdout.write(f"kibana-setup: {taken} saved objects are in Kibana\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
