"""Every row of the zoo's table trains, is validated, and comes back from its run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from emotrace.models.architecture import InputKind
from emotrace.models.zoo import ARCHITECTURES
from emotrace.training.data_options import fit_options
from emotrace.training.feature_cache import extract_features
from emotrace.training.stretches import ExampleWindows
from emotrace.training.zoo.fit import fit_zoo
from emotrace.training.zoo.predictions import predict_side
from emotrace.training.zoo.recipe import (
    DataSettings,
    MachineSettings,
    OptimiserSettings,
    ZooRecipe,
)
from emotrace.training.zoo.run import load_trained
from tests.training.test_zoo_features import make_extractor
from tests.training.tiny_zoo import write_cache


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("tiny"), clips=9, subjects=3, frames=10)


@pytest.fixture(scope="module")
def vectors(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("vectors")
    extract_features(make_extractor(), cache, out)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("row", ARCHITECTURES, ids=lambda row: row.name)
def test_a_row_of_the_zoo_goes_through_the_engine(
    cache: Path, vectors: Path, tmp_path: Path, row: Any
) -> None:
    data = vectors if row.kind is InputKind.VECTOR_SEQUENCE else cache
    steps = 0 if row.kind in (InputKind.IMAGE, InputKind.CLIP) else 3
    recipe = ZooRecipe(
        architecture=row.name,
        options=row.options(),
        data=DataSettings(data=data, validation_share=0.3),
        windows=ExampleWindows(steps=steps, stride=10),
        # Without a momentum, checkpoints are a third as large.
        optimiser=OptimiserSettings(optimiser="sgd", momentum=0.0, learning_rate=1e-3),
        machine=MachineSettings(accelerator="cpu", threads=1),
        epochs=1,
        batch_size=3,
    )
    recipe, _ = fit_options(recipe, row, given=())
    report = fit_zoo(recipe, tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["architecture"] == row.name
    losses = (tmp_path / "train_curve.csv").read_text().splitlines()
    assert len(losses) == 1 + 2
    trained = load_trained(tmp_path)
    found = predict_side(trained, side="validation", batch_size=3)
    for name, values in found.outputs.items():
        known = torch.from_numpy(values).isfinite().all(dim=1)
        assert int(known.sum()) > 0, name
    assert report.epochs_done == 1
    shutil.rmtree(tmp_path / "checkpoints")  # up to 200 MB
