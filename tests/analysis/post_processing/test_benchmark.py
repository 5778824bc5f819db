from __future__ import annotations

import json
import subprocess
import sys

from tests.conftest import REPOSITORY


def test_the_benchmark_measures_the_search() -> None:
    script = REPOSITORY / "benchmarks" / "post_processing_search.py"
    size = ["--recordings", "2", "--frames", "1200", "--repeats", "1", "--lanes", "64"]
    done = subprocess.run(
        [sys.executable, str(script), *size], capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["search"]["search_seconds"]["median"] > 0
    assert set(report["median_filters_alone_seconds"]) == {"every_median, 64 lanes"}
    found = {step["name"]: step["value"] for step in report["search"]["steps"]}
    # 70 frames at 25 a second were put in.
    assert abs(found["time shift"] - 2.8) < 0.5
    scores = report["search"]["ccc_on_other_recordings"]
    assert scores["processed"] > scores["raw"] + 0.2
