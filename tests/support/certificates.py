"""What `make certificates` makes, in a folder of its own."""

import os
import subprocess
from pathlib import Path

from tests.support.processes import tool

SCRIPT = Path(__file__).parents[2] / "scripts/certificates.sh"


def make_certificates(folder: Path, names: str = "") -> Path:
    """The folder, filled. `names` is what else Temporal is called. Raises CalledProcessError."""
    tool("openssl")
    variables = os.environ | {"CERTIFICATES_DIR": str(folder), "CERTIFICATE_NAMES": names}
    subprocess.run([SCRIPT], env=variables, check=True, capture_output=True, timeout=60)
    return folder
