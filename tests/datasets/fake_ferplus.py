"""A tiny `ferplus.parquet` of noise, with every expression in every split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emotrace.labels import FER2013_NAMES, FERPLUS_VOTE_COLUMNS

VOTES = (*FERPLUS_VOTE_COLUMNS, "unknown", "not_face")
"""In the order of the published table."""


def png(image: np.ndarray) -> bytes:
    done, data = cv2.imencode(".png", image)
    assert done
    return data.tobytes()


def make_rows(split: str, count: int, seed: int) -> list[dict[str, Any]]:
    """Noise faces; row i has expression i mod 8 as its majority, with a brightness of its own."""
    generator = np.random.default_rng(seed)
    theirs = list(FER2013_NAMES)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        noise = generator.integers(0, 100, (48, 48))
        votes = generator.multinomial(3, np.full(10, 0.1))
        votes[number % 8] += 7
        rows.append(
            {
                "file": f"{split}/{number}.png",
                "split": split,
                "image": png((noise + 20 * (number % 8)).astype(np.uint8)),
                "fer2013_label": None if number % 8 == 7 else theirs[number % 8],
                **{f"votes_{name}": int(votes[at]) for at, name in enumerate(VOTES)},
            }
        )
    return rows


def write_rows(rows: list[dict[str, Any]], folder: Path) -> Path:
    path = folder / "ferplus.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def write_fake_ferplus(
    folder: Path, *, train: int = 64, validation: int = 24, test: int = 24
) -> Path:
    return write_rows(
        [
            *make_rows("train", train, 0),
            *make_rows("validation", validation, 1),
            *make_rows("test", test, 2),
        ],
        folder,
    )
