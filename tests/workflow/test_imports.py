"""The direction of arrows: services share contracts, never code of each other."""

import subprocess
import sys
from itertools import permutations
from pathlib import Path

import grimp

from contracts.registry import STEPS

_ROOT = Path(__file__).parent.parent.parent


def test_arrows_go_one_way() -> None:
    """The import rules in pyproject.toml hold."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_no_step_imports_another() -> None:
    """Every step in the registry, a new one as well, is independent of all others."""
    graph = grimp.build_graph("workers", cache_dir=None)
    for importer, imported in permutations(STEPS, 2):
        chains = graph.find_shortest_chains(f"workers.{importer}", f"workers.{imported}", as_packages=True)
        assert not chains, f"{importer} → {imported}: {chains}"
