"""List each face's happiest moment in a folder of results.

emotrace analyze recordings/ -o results
python examples/who_smiled.py results
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd


def happiest_moments(timeline: pd.DataFrame) -> pd.DataFrame:
    """Return the row of each face in which happiness was most probable."""
    with_face = timeline.dropna(subset=["face_id", "happiness"])
    return with_face.loc[with_face.groupby("face_id")["happiness"].idxmax()]


def main() -> None:
    """Read every timeline under a folder and print one line for each face."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("results", type=Path, help="the folder given to emotrace analyze -o")
    paths = sorted(parser.parse_args().results.rglob("timeline.parquet"))
    if not paths:
        raise SystemExit("expected a folder with results; found no timeline.parquet in it")
    for path in paths:
        for row in happiest_moments(pd.read_parquet(path)).itertuples():
            print(
                f"{path.parent.name}: face {row.face_id:.0f} at {row.timestamp:.2f} s, "
                f"happiness {row.happiness:.0%}"
            )


if __name__ == "__main__":
    main()
