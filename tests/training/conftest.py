"""What the tests of evaluation share: a bundle that states everything, and its results."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from emotrace.bundle import load_bundle
from emotrace.bundle_spec import SPEC_FILE, read_spec, spec_to_json
from emotrace.labels import EMOTIONS
from emotrace.training.calibration import LEAST_SHARE, with_weights
from emotrace.training.evaluation import evaluate_ferplus
from tests.datasets.fake_ferplus import make_rows, write_rows


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 test faces, two of them training faces, one without a majority."""
    folder = tmp_path_factory.mktemp("faces")
    train, test = make_rows("train", 24, 0), make_rows("test", 48, 2)
    for number in (3, 9):
        test[number]["image"] = train[number]["image"]
    for name in ("neutral", "happiness"):
        test[20][f"votes_{name}"] = 5
    return write_rows([*train, *test], folder)


@pytest.fixture(scope="session")
def full_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged bundle with every optional field stated."""
    folder = tmp_path_factory.mktemp("bundles") / "full"
    shutil.copytree(load_bundle().folder, folder)
    spec = with_weights(read_spec(folder), {"fer2013": 0.0, "votes": 1.0})
    seven = tuple(LEAST_SHARE if name == "contempt" else 1 / 7 for name in EMOTIONS)
    spec = dataclasses.replace(
        spec,
        priors={**spec.priors, "fer2013": seven, "votes": (1 / 8,) * 8},
        temperatures={"training": 0.9, "default": 0.7, "custom": 0.7, "votes": 1.3},
        face_threshold=0.2,
        uncertain_threshold=0.4,
        results={"cost": {"parameters": 2_016_890, "multiply_adds": 86_000_000}},
    )
    (folder / SPEC_FILE).write_text(json.dumps(spec_to_json(spec)))
    return folder


@pytest.fixture(scope="session")
def full_results(full_bundle: Path, faces: Path) -> dict[str, Any]:
    """Everything that can be measured, of few faces. Not to be changed."""
    results = evaluate_ferplus(full_bundle, faces, robustness=True)
    speed = {"milliseconds_median": 2.0, "milliseconds_tenth": 1.9, "processor": "Test 1"}
    return {**results, "speed": speed}
