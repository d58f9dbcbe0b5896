"""The job that brings our saved objects into Kibana, against a server that acts as it and notes what it is asked."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from observability.kibana import setup

from tests.support.kibana import FOLDER, formats, of_type, saved_objects
from tests.support.serving import serving

STATUS = "/api/status"
IMPORT = "/api/saved_objects/_import?overwrite=true"
READY = {"status": {"overall": {"level": "available"}}}
TAKEN = {"success": True, "successCount": 13, "warnings": []}
CLOSES = 0
"""Instead of a status: no answer at all."""


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def file(self) -> Message:
        """The one part of a form."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n"
        parts = message_from_bytes(head.encode() + self.body).get_payload()
        assert isinstance(parts, list)
        [part] = parts
        assert isinstance(part, Message)
        return part

    @property
    def lines(self) -> list[str]:
        content = self.file.get_payload(decode=True)
        assert isinstance(content, bytes)
        return content.decode().splitlines()


class Kibana:
    """Answers each path with what is listed for it, one after the other, the last for ever."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: dict[str, list[tuple[int, Any]]] = {STATUS: [(200, READY)], IMPORT: [(200, TAKEN)]}
        kibana = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kibana.asked.append(Asked(self.command, self.path, self.headers, body))
                answers = kibana.answers.get(self.path, [(404, {})])
                status, answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if status == CLOSES:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.end_headers()
                self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

            do_POST = do_GET  # noqa: N815 - the library's name

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def import_(self) -> Asked:
        [asked] = [asked for asked in self.asked if asked.path == IMPORT]
        return asked


@pytest.fixture
def kibana() -> Iterator[Kibana]:
    started = Kibana()
    with serving(started.server):
        yield started


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(FOLDER / "setup.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_objects_are_imported(kibana: Kibana) -> None:
    """When Kibana is ready, it gets every object in one file, as its import wants it, to replace what it has."""
    done = run(KIBANA_URL=kibana.url + "/")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "kibana-setup: 13 saved objects are in Kibana\n"
    assert [(asked.method, asked.path) for asked in kibana.asked] == [("GET", STATUS), ("POST", IMPORT)]
    asked = kibana.import_()
    assert asked.headers["kbn-xsrf"]
    assert asked.headers["Authorization"] is None
    assert asked.headers.get_content_type() == "multipart/form-data"
    assert asked.file.get_param("name", header="content-disposition") == "file"
    # Kibana goes by the name's ending.
    assert str(asked.file.get_filename()).endswith(".ndjson")
    assert [json.loads(line) for line in asked.lines] == saved_objects()


def test_it_waits_until_kibana_is_ready(kibana: Kibana) -> None:
    """While Kibana starts, and says so or does not answer, the job waits; and a busy Kibana is asked again."""
    kibana.answers[STATUS] = [(CLOSES, {}), (503, b"Kibana server is not ready yet"), (200, READY)]
    kibana.answers[IMPORT] = [(429, {}), (200, TAKEN)]
    done = run(KIBANA_URL=kibana.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert kibana.paths() == [STATUS] * 3 + [IMPORT] * 2


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ({"type": "missing_references", "references": [{"type": "lens", "id": "b"}]}, "missing_references: lens b"),
        (
            {"type": "unknown", "message": "newer than this Kibana", "statusCode": 422},
            "unknown: newer than this Kibana",
        ),
        ({"type": "unsupported_type"}, "unsupported_type"),
    ],
)
def test_a_refused_object_is_an_error(kibana: Kibana, cause: dict[str, Any], told: str) -> None:
    """An object that Kibana refuses, as it tells in an answer of 200, fails the job with the object and the reason."""
    errors = [{"type": "dashboard", "id": "a", "title": "A", "error": cause}]
    kibana.answers[IMPORT] = [(200, {"success": False, "successCount": 12, "errors": errors})]
    done = run(KIBANA_URL=kibana.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"kibana-setup: refused: dashboard a: {told}\n"


@pytest.mark.parametrize("path", [STATUS, IMPORT])
def test_a_no_is_not_asked_again(kibana: Kibana, path: str) -> None:
    """A login that is not taken, or a file that is none, fails the job at once, with what Kibana said."""
    kibana.answers[path] = [(401, {"message": "unable to authenticate"})]
    done = run(KIBANA_URL=kibana.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"kibana-setup: {path}: 401: ")
    assert "unable to authenticate" in done.stderr
    assert kibana.paths().count(path) == 1


def test_it_is_not_kibana(kibana: Kibana) -> None:
    """What answers, but not as Kibana does, is told by the setting that led there."""
    kibana.answers[STATUS] = [(200, b"<html>")]
    done = run(KIBANA_URL=kibana.url)
    assert done.returncode == 1
    assert done.stderr == f"kibana-setup: KIBANA_URL: what answers at {kibana.url} is not Kibana\n"


@pytest.mark.parametrize("status", [CLOSES, 503])
def test_patience_ends(kibana: Kibana, status: int) -> None:
    """A Kibana that does not become ready in time is told, rather than waited for without end."""
    kibana.answers[STATUS] = [(status, {})]
    with pytest.raises(setup.Failed, match="503" if status else "KIBANA_URL"):
        setup.wait(setup.settings({"KIBANA_URL": kibana.url}), deadline=time.monotonic())
    assert kibana.paths() == [STATUS]


@pytest.mark.parametrize(
    ("given", "user"),
    [({"KIBANA_USERNAME": "importer"}, "importer"), ({}, "elastic"), ({"KIBANA_USERNAME": ""}, "elastic")],
)
def test_it_logs_in(kibana: Kibana, given: dict[str, str], user: str) -> None:
    """With a password each request has it, and no output does."""
    done = run(KIBANA_URL=kibana.url, KIBANA_PASSWORD="s3cret: ü", **given)
    assert done.returncode == 0
    login = "Basic " + base64.b64encode(f"{user}:s3cret: ü".encode()).decode()
    assert [asked.headers["Authorization"] for asked in kibana.asked] == [login, login]
    assert "s3cret" not in done.stdout + done.stderr


def test_links_lead_to_the_jaeger_that_is_set(kibana: Kibana) -> None:
    """Links to traces lead to JAEGER_URL, and the objects are otherwise as in the files."""
    done = run(KIBANA_URL=kibana.url, JAEGER_URL="https://traces.example:8443/jaeger/")
    assert done.returncode == 0
    imported = [json.loads(line) for line in kibana.import_().lines]
    [data_view] = [one for one in imported if one["type"] == "index-pattern"]
    template = formats(data_view)["trace.id"]["params"]["urlTemplate"]
    assert template == "https://traces.example:8443/jaeger/trace/{{value}}"
    assert setup.JAEGER_IN_FILES not in json.dumps(imported)
    assert imported[1:] == saved_objects()[1:]
    assert of_type("index-pattern") == saved_objects()[:1]


@pytest.mark.parametrize("name", ["KIBANA_URL", "JAEGER_URL"])
@pytest.mark.parametrize(
    "value",
    [
        *("kibana:5601", "ftp://kibana", "http://", "http://kibana:port", "http://kibana:70000", "http://[kibana"),
        *("http://me:s3cret@kibana", 'http://kibana/"', "http://kibana/{{value}}", "http://kibana/?a=b", "http://a b"),
    ],
)
def test_a_wrong_address_is_refused(name: str, value: str) -> None:
    """An address that is none, or would not survive in a template, is refused in one line that names the setting."""
    done = run(**{name: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{name}: not an address like http://127.0.0.1:")
    assert done.stderr.count("\n") == 1
    assert "s3cret" not in done.stderr


def test_a_name_without_a_password_is_refused() -> None:
    """A user name alone is a setting that was forgotten, not a login."""
    done = run(KIBANA_USERNAME="importer")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "KIBANA_PASSWORD: is needed with KIBANA_USERNAME\n"


def test_a_file_as_kibana_exports_it_can_lie_beside(tmp_path: Path) -> None:
    """All files of the folder make one import; an export's last line, which counts its objects, is left out."""
    (tmp_path / "b.ndjson").write_text('{"id":"2"}\n{"exportedCount":1,"missingRefCount":0}\n')
    (tmp_path / "a.ndjson").write_text('{"id":"1","x":"http://127.0.0.1:16686/trace"}\n\n')
    (tmp_path / "c.json").write_text("{")
    found = setup.saved_objects(tmp_path, "http://jaeger")
    assert found == b'{"id":"1","x":"http://jaeger/trace"}\n{"id":"2"}\n'
