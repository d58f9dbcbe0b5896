"""Make `.venv` from the locked, hashed requirements: `python3 scripts/install.py run|dev`.

Standard library only: this is what runs before anything is installed. `run` is what the platform needs,
`dev` adds the tests and checks. A second call finds its stamp and ends at once. Every failure is one line.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOG = VENV / "install.log"
OLDEST = (3, 11)


def fail(reason: str) -> NoReturn:
    print("orderflow: " + reason, file=sys.stderr)
    raise SystemExit(1)


def use_a_recent_python() -> None:
    """Go on in a newer interpreter from PATH when this one is too old."""
    if sys.version_info >= OLDEST:
        return
    for minor in range(20, OLDEST[1] - 1, -1):
        python = shutil.which("python3.%d" % minor)
        if python and subprocess.call([python, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            os.execv(python, [python, *sys.argv])
    fail("Python 3.11 or newer is needed; this is %d.%d (set PYTHON=/path/to/python3.11)" % sys.version_info[:2])


def run(step: str, *command: object) -> None:
    """Run one command of the installation; its output goes to the log, a failure becomes one line."""
    print("orderflow: " + step + " …", file=sys.stderr, flush=True)
    # The machine's own certificates: behind a company's proxy the bundled ones know nobody.
    environment = dict(os.environ, UV_SYSTEM_CERTS="1", VIRTUAL_ENV=str(VENV), PIP_DISABLE_PIP_VERSION_CHECK="1")
    VENV.mkdir(exist_ok=True)
    with LOG.open("ab") as log:
        code = subprocess.call(
            [str(word) for word in command],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=environment,
            cwd=ROOT,
        )
    if code:
        written = LOG.read_text(errors="replace").lower()
        signs = ("connect", "resolve", "timed out", "network", "unreachable", "no matching distribution")
        cause = "; no network to the package index?" if any(sign in written for sign in signs) else ""
        fail("%s failed (exit %d)%s See %s" % (step, code, cause, LOG))


def stamp(wanted: str) -> str:
    """What an installation was made from. The folder counts: a moved virtual environment does not work."""
    made_from = [ROOT / "requirements" / (wanted + ".txt"), ROOT / "requirements" / "uv.txt", ROOT / "pyproject.toml"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in made_from) + str(ROOT).encode()).hexdigest()


def main(wanted: str) -> None:
    use_a_recent_python()
    stamp_file = VENV / (wanted + ".stamp")
    if stamp_file.exists() and stamp_file.read_text() == stamp(wanted):
        return

    LOG.unlink(missing_ok=True)
    python = VENV / "bin" / "python"
    if not python.exists() or subprocess.call([python, "-c", ""], stderr=subprocess.DEVNULL) != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        run("making the virtual environment .venv", sys.executable, "-m", "venv", VENV)
    requirements = ROOT / "requirements"
    pip = [python, "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
    run("installing the installer", *pip, "-r", requirements / "uv.txt")
    uv = [VENV / "bin" / "uv", "pip", "install", "--quiet"]
    run("installing the locked packages", *uv, "--require-hashes", "-r", requirements / (wanted + ".txt"))
    run("installing orderflow", *uv, "--no-deps", "--no-build-isolation", "--editable", ROOT)
    stamp_file.write_text(stamp(wanted))
    if wanted == "dev":
        # What serves the tests serves a run as well: the two locks agree on every version.
        (VENV / "run.stamp").write_text(stamp("run"))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("run", "dev"):
        fail("usage: python3 scripts/install.py run|dev")
    main(sys.argv[1])
