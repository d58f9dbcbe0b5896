"""`make certificates`: an authority, what Temporal shows, and what its clients show."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.certificates import make_certificates
from tests.support.processes import tool


def made(folder: Path, names: str = "") -> dict[str, bytes]:
    """All that is in the folder after a run."""
    make_certificates(folder, names)
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def good(folder: Path, certificate: str, *arguments: str) -> bool:
    """Whether the authority's word holds for a certificate, in this respect."""
    authority = str(folder / "authority/ca.pem")
    command = [tool("openssl"), "verify", *arguments, "-CAfile", authority, str(folder / certificate)]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def test_each_is_good_for_its_purpose(tmp_path: Path) -> None:
    """Temporal's certificate is good for both sides, under its names alone; a client's for a client alone."""
    made(tmp_path)
    temporal, client = "temporal/temporal.pem", "client/client.pem"
    assert good(tmp_path, temporal, "-purpose", "sslserver", "-verify_hostname", "temporal")
    # Its parts are each other's clients.
    assert good(tmp_path, temporal, "-purpose", "sslclient")
    assert good(tmp_path, client, "-purpose", "sslclient")
    assert not good(tmp_path, client, "-purpose", "sslserver")
    assert not good(tmp_path, temporal, "-verify_hostname", "temporal.example.com")


def test_they_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Nobody but their owner can read any of the files, and the authority's key is in a folder of its own."""
    files = made(tmp_path)
    assert all(not (tmp_path / name).stat().st_mode & 0o077 for name in files)
    assert [name for name in files if name.endswith("ca.key")] == ["authority/ca.key"]


def test_what_is_there_stays(tmp_path: Path) -> None:
    """A second run changes nothing; a new name makes Temporal's certificate anew, by the same authority."""
    first = made(tmp_path)
    assert made(tmp_path) == first
    named = made(tmp_path, "temporal.example.com, 10.0.0.5")
    assert {name for name in named if named[name] != first[name]} == {
        f"temporal/{file}" for file in ("temporal.pem", "temporal.key", "names")
    }
    assert good(tmp_path, "temporal/temporal.pem", "-verify_hostname", "temporal.example.com")
    assert good(tmp_path, "temporal/temporal.pem", "-verify_ip", "10.0.0.5")


def test_with_the_authority_all_is_made_anew(tmp_path: Path) -> None:
    """Under a new authority no certificate of the old one is left."""
    first = made(tmp_path)
    shutil.rmtree(tmp_path / "authority")
    second = made(tmp_path)
    assert all(second[name] != first[name] for name in first if name.endswith((".pem", ".key")))
    assert good(tmp_path, "temporal/temporal.pem")
    assert good(tmp_path, "client/client.pem")
    assert len({second[f"{folder}/ca.pem"] for folder in ("authority", "temporal", "client")}) == 1


def test_without_the_authority_s_key_what_is_good_stays(tmp_path: Path) -> None:
    """The authority's key can be taken off the machine: it is missed only when something has to be made anew."""
    first = made(tmp_path)
    (tmp_path / "authority/ca.key").unlink()
    assert {name for name, content in made(tmp_path).items() if first[name] != content} == set()
    with pytest.raises(subprocess.CalledProcessError) as error:
        made(tmp_path, "temporal.example.com")
    assert b"ca.key is needed" in error.value.stderr
