"""What a step's package is given to make its activities from."""

from dataclasses import dataclass
from pathlib import Path

from workers.database import Database
from workers.ledger import Ledger


@dataclass(frozen=True, slots=True)
class StepContext:
    step: str
    data_dir: Path
    database: Database

    def ledger(self, effect: str | None = None) -> Ledger:
        """The ledger of the step's own effect, or of a further `effect` that it has on an order."""
        return Ledger(self.database, f"{self.step}.{effect}" if effect else self.step)
