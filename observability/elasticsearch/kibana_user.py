"""Gives Elasticsearch's user `kibana_system` its password: `python3 kibana_user.py`. Safe to repeat.

Kibana may not be Elasticsearch's administrator, and the user that it may be has no password of its own at first.
Standard library only. ELASTICSEARCH_URL, ELASTICSEARCH_PASSWORD (of `elastic`), KIBANA_PASSWORD.
"""

import base64
import json
import os
import sys
import time
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

PATH = "/_security/user/kibana_system/_password"
PATIENCE_SECONDS = 120.0


def request(url: str, administrator: str, password: str) -> Request:
    credentials = base64.b64encode(f"elastic:{administrator}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}
    body = json.dumps({"password": password}).encode()
    return Request(url.rstrip("/") + PATH, body, headers, method="POST")  # noqa: S310 - ours


def main() -> int:
    environment = os.environ
    url = environment.get("ELASTICSEARCH_URL") or "http://127.0.0.1:9200"
    administrator, password = environment.get("ELASTICSEARCH_PASSWORD"), environment.get("KIBANA_PASSWORD")
    if not administrator or not password:
        sys.stderr.write("ELASTICSEARCH_PASSWORD, KIBANA_PASSWORD: must be set\n")
        return 2
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urlopen(request(url, administrator, password), timeout=30) as answer:  # noqa: S310
                answer.read()
            break
        except HTTPError as error:
            if error.code not in (429, 503) or time.monotonic() > deadline:
                sys.stderr.write(f"{PATH}: {error.code}: {error.read().decode(errors='replace')[:500]}\n")
                return 1
        except (URLError, OSError) as error:
            if time.monotonic() > deadline:
                sys.stderr.write(f"ELASTICSEARCH_URL: {url} can't be reached: {error}\n")
                return 1
        time.sleep(1)
    sys.stdout.write("kibana-user: kibana_system has its password\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
