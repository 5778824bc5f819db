"""Where benchmarks keep their numbers, with the machine and the versions that gave them."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotrace.analysis.summary import installed_versions, json_ready

if TYPE_CHECKING:
    from collections.abc import Mapping


def processor_name() -> str:
    """What the processor calls itself, where the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def save_results(folder: Path, name: str, results: Mapping[str, Any]) -> Path:
    """Write `DATE-NAME.json` into a folder and say so."""
    folder.mkdir(parents=True, exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    path = folder / f"{now:%Y-%m-%d}-{name}.json"
    record = {
        "date": now.isoformat(timespec="seconds"),
        "machine": {
            "processor": processor_name(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "versions": installed_versions(),
        },
        **results,
    }
    path.write_text(json.dumps(json_ready(record), indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")
    return path
