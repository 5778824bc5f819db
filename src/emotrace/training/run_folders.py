"""What runs of every recipe share: how their folder is known, which source made them. No torch."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from emotrace.bundle_spec import SPEC_FILE
from emotrace.errors import BundleError

RUN_FILE: Final = "run.json"
"""Says in a run's folder what was run, on what data."""


def is_run(model: str | Path) -> bool:
    """Tell a run's folder from a bundle's name or folder.

    Raises:
        BundleError: It is a folder of neither.
    """
    folder = Path(model)
    if (folder / RUN_FILE).is_file():
        return True
    # A bundle's name may be that of some folder here, too.
    if folder.is_dir() and len(folder.parts) > 1 and not (folder / SPEC_FILE).is_file():
        raise BundleError(
            f"expected the folder of a run ({RUN_FILE}) or of a bundle ({SPEC_FILE}); {folder} has "
            "neither"
        )
    return False


def git_commit() -> str | None:
    """Return the commit of the source tree, or None outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
