"""Make `.env` from `.env.example`: `python3 scripts/env.py`, with a random value for each secret that is empty there.

What is in `.env` already stays as it is; what is missing is added. `python3 scripts/env.py key NAME` makes a key for a
caller of the API besides, says it once, and adds its hash to ORDERFLOW_API_KEYS. Standard library only.
"""

import hashlib
import os
import re
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECRET = ("_PASSWORD", "_API_KEY", "_ENCRYPTION_KEY")
API_KEYS = "ORDERFLOW_API_KEYS"
SCRAPER = "prometheus"


def completed(example: str, present: str) -> str:
    """The text of `.env`: `present` with what it lacks of `example`, or all of `example` where there is none."""
    names = {line.split("=", 1)[0].strip() for line in present.splitlines() if "=" in line and line[:1] != "#"}
    lines = []
    for line in example.splitlines():
        name, assigned, value = line.partition("=")
        is_setting = bool(assigned) and not line.startswith("#")
        if is_setting and name in names:
            continue
        if is_setting or not present:
            lines.append(line + secrets.token_hex(16) if is_setting and name.endswith(SECRET) and not value else line)
    if present and not present.endswith("\n"):
        present += "\n"
    return present + "".join(line + "\n" for line in lines)


def with_key(text: str, name: str, key: str) -> str:
    """The text of `.env` with a caller's key, and with Prometheus', which asks the API too once it wants keys.

    Raises ValueError for a name that can't be one, or is taken.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
        raise ValueError("NAME: letters, digits, _ . - and no more than 64 of them")
    values = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    keys = dict(entry.strip().split(":", 1) for entry in values.get(API_KEYS, "").split(",") if ":" in entry)
    if name in (*keys, SCRAPER):
        raise ValueError(f"NAME: there is a key for {name} already")
    keys[name] = _digest(key)
    if values.get("PROMETHEUS_API_KEY"):
        keys[SCRAPER] = _digest(values["PROMETHEUS_API_KEY"])
    line = f"{API_KEYS}=" + ",".join(":".join(entry) for entry in keys.items())
    return re.sub(rf"^{API_KEYS}=.*$", line, text, count=1, flags=re.MULTILINE)


def _digest(key: str) -> str:
    # As api.auth has it.
    return hashlib.sha256(key.encode()).hexdigest()


def write(file: Path, text: str) -> None:
    """All of it or nothing, for its owner's eyes alone."""
    partial = file.with_name(".env.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    partial.replace(file)


def main(arguments: list[str]) -> int:
    file = ROOT / ".env"
    present = file.read_text() if file.exists() else ""
    made = completed((ROOT / ".env.example").read_text(), present)
    if made != present:
        write(file, made)
    print("orderflow: .env is %s" % ("as it was" if made == present else "made" if not present else "completed"))
    if arguments[:1] == ["key"]:
        key = f"of_{secrets.token_urlsafe(32)}"
        try:
            write(file, with_key(made, "".join(arguments[1:2]), key))
        except ValueError as error:
            sys.stderr.write(f"orderflow: {error}\n")
            return 2
        print(f"The key, shown only now:  {key}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
