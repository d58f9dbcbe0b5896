"""The processes of the embedded platform, kept by supervisord."""

import hashlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from cli.platform import Program

_LONGEST_SOCKET_PATH = 90  # The kernel's limit is 107 bytes; supervisord binds a longer name first.


class SupervisorError(Exception):
    """One line on what could not be done."""


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """`state` is supervisord's: RUNNING, STARTING, BACKOFF, STOPPING, STOPPED, EXITED, FATAL or UNKNOWN."""

    state: str
    pid: int | None
    up_seconds: float


class Supervisor:
    """supervisord for one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._run_dir = self._data_dir / "run"
        self.log_dir = self._data_dir / "logs"
        self._socket = self._run_dir / "supervisor.sock"
        if len(str(self._socket)) > _LONGEST_SOCKET_PATH:
            short = hashlib.sha256(str(self._socket).encode()).hexdigest()[:16]
            self._socket = Path(tempfile.gettempdir()) / f"orderflow-{os.getuid()}-{short}.sock"

    def is_up(self) -> bool:
        try:
            self._call("getState")
        except (OSError, http.client.HTTPException):
            return False
        return True

    def launch(self, programs: Iterable[Program], environment: Mapping[str, str]) -> None:
        """Start supervisord with all `programs`, in a session of its own: it outlives this process."""
        for folder in (self._run_dir, self.log_dir):
            folder.mkdir(parents=True, exist_ok=True)
        config = self._run_dir / "supervisord.conf"
        config.write_text(self._config(programs))
        with (self.log_dir / "supervisord.out").open("ab") as out:
            subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=dict(environment),
                cwd=self._data_dir,
                start_new_session=True,
            )

    def processes(self) -> dict[str, ProcessInfo]:
        """Every program's process, by name; none when supervisord is not up."""
        try:
            infos = self._call("getAllProcessInfo")
        except (OSError, http.client.HTTPException):
            return {}
        return {
            info["name"]: ProcessInfo(info["statename"], info["pid"] or None, info["now"] - info["start"])
            for info in infos
        }

    def start(self, name: str) -> None:
        """Raises SupervisorError when it does not stay up."""
        self._change("startProcess", name, already="ALREADY_STARTED")

    def stop(self, name: str, *, wait: bool = True) -> None:
        self._change("stopProcess", name, already="NOT_RUNNING", wait=wait)

    def shut_down(self, last: str) -> int | None:
        """Stop everything, all at once but for `last`, and supervisord itself. Returns its pid, to be waited for."""
        try:
            pid = int(self._call("getPID"))
            for name in self.processes():
                if name != last:
                    self.stop(name, wait=False)
            # Its own shutdown stops one after the other; by then nothing is left to stop.
            while any(process.pid for name, process in self.processes().items() if name != last):
                time.sleep(0.05)
            self.stop(last)
            self._call("shutdown")
        except (OSError, http.client.HTTPException):
            return None
        return pid

    def last_words(self, name: str) -> str:
        """The last line a program wrote to stderr, for telling why it does not start."""
        try:
            lines = (self.log_dir / f"{name}.stderr.log").read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""

    def _change(self, method: str, name: str, *, already: str, wait: bool = True) -> None:
        try:
            self._call(method, name, wait)
        except xmlrpc.client.Fault as fault:
            if fault.faultString.startswith(already):
                return
            raise SupervisorError(f"{name}: {fault.faultString}. {self.last_words(name)}".strip()) from None

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        try:
            proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
            return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()

    def _config(self, programs: Iterable[Program]) -> str:
        sections = [
            "[supervisord]",
            f"logfile = {_value(self.log_dir / 'supervisord.log')}",
            f"pidfile = {_value(self._run_dir / 'supervisord.pid')}",
            f"identifier = {socket.gethostname()}",
            "",
            "[unix_http_server]",
            f"file = {_value(self._socket)}",
            "chmod = 0600",
            "",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        ]
        for priority, program in enumerate(programs):
            changes = ",".join(f'{name}="{_value(value)}"' for name, value in program.environment.items())
            sections += [
                "",
                f"[program:{program.name}]",
                f"command = {' '.join(_quoted(part) for part in program.command)}",
                f"environment = {changes}",
                f"priority = {priority}",
                "autorestart = true",
                "startsecs = 1",
                "startretries = 3",
                "stopsignal = TERM",
                f"stopwaitsecs = {program.stop_seconds}",
                # Our services write their lines to a file themselves.
                *(
                    ["stdout_logfile = NONE"]
                    if program.logs_itself
                    else _keep_output(self.log_dir / f"{program.name}.jsonl")
                ),
                f"stderr_logfile = {_value(self.log_dir / f'{program.name}.stderr.log')}",
                "stderr_logfile_maxbytes = 10MB",
            ]
        return "\n".join(sections) + "\n"


def _keep_output(file: Path) -> list[str]:
    return [
        f"stdout_logfile = {_value(file)}",
        "stdout_logfile_maxbytes = 50MB",
        "stdout_logfile_backups = 3",
    ]


def _value(value: object) -> str:
    """supervisord expands %(…)s in its configuration."""
    return str(value).replace("%", "%%")


def _quoted(part: str) -> str:
    text = _value(part)
    return f"'{text}'" if " " in text else text
