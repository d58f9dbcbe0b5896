"""Writes Prometheus' configuration with a key for the API: `python3 with_key.py prometheus.yml FOLDER`.

Prometheus reads no environment variables where credentials are, so the key is a file beside the configuration, in a
folder below the rules'. Only its owner can read it. Standard library only. PROMETHEUS_API_KEY.
"""

import os
import sys
from pathlib import Path

CHANGES = {
    "# authorization: {credentials_file: /etc/prometheus/api-key}": "authorization: {credentials_file: api-key}",
    "  - rules/*.yml": "  - ../rules/*.yml",
}


class ConfigurationError(Exception):
    """The configuration is not the one that this script knows."""


def with_key(configuration: str) -> str:
    """Raises ConfigurationError."""
    for before, after in CHANGES.items():
        if configuration.count(before) != 1:
            raise ConfigurationError(f"not once in the configuration: {before.strip()}")
        configuration = configuration.replace(before, after)
    return configuration


def write(file: Path, text: str) -> None:
    """All of it or nothing, for its owner's eyes alone."""
    partial = file.with_name(f".{file.name}")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as out:
        out.write(text)
    partial.replace(file)


def main(arguments: list[str]) -> int:
    source, folder = Path(arguments[0]), Path(arguments[1])
    key = os.environ.get("PROMETHEUS_API_KEY", "").strip()
    if not key:
        sys.stderr.write("PROMETHEUS_API_KEY: must be set\n")
        return 2
    try:
        configuration = with_key(source.read_text())
    except ConfigurationError as error:
        sys.stderr.write(f"{source}: {error}\n")
        return 1
    write(folder / "api-key", key)
    write(folder / "prometheus.yml", configuration)
    sys.stdout.write(f"prometheus-setup: {folder / 'prometheus.yml'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
