from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import numpy as np
import emotrace
bundle = emotrace.load_bundle()
bundle.predict_crops([np.zeros((48, 48, 3), np.uint8)])
"""


def test_predicting_leaves_nothing_in_the_users_home(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    kept.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**kept, "HOME": str(tmp_path), "EMOTRACE_HOME": str(tmp_path / "emotrace")},
        check=True,
        timeout=60,
    )
    assert [str(path) for path in tmp_path.rglob("*") if path.is_file()] == []
