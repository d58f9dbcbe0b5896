"""Make `.env` from `.env.example`: `python3 scripts/env.py`, with a random value for each password that is empty there.

What is in `.env` already stays as it is; what is missing is added. Standard library only.
"""

import os
import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECRET = "_PASSWORD"


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


def main() -> None:
    file = ROOT / ".env"
    present = file.read_text() if file.exists() else ""
    made = completed((ROOT / ".env.example").read_text(), present)
    if made != present:
        partial = ROOT / ".env.partial"
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(made)
        partial.replace(file)
    print("orderflow: .env is %s" % ("as it was" if made == present else "made" if not present else "completed"))


if __name__ == "__main__":
    main()
