"""Runs of tiny networks: repeated, stopped at any step and resumed, refused, damaged."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from emotrace.training.clip_augmentation import AUGMENTATIONS
from emotrace.training.zoo.checkpoints import read_checkpoint
from emotrace.training.zoo.fit import fit_zoo
from emotrace.training.zoo.module import ZooModule
from emotrace.training.zoo.recipe import (
    LossSettings,
    OptimiserSettings,
    StartSettings,
    StoppingSettings,
    ZooRecipe,
)
from emotrace.training.zoo.run import load_trained, read_run
from tests.conftest import REPOSITORY
from tests.training.tiny_zoo import CLIP, IMAGE, SEQUENCE, tiny_recipe, write_cache


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("tiny"))


def curve(run: Path, name: str = "train_curve.csv") -> list[dict[str, str]]:
    with (run / name).open(newline="") as file:
        return list(csv.DictReader(file))


def last_state(run: Path) -> dict[str, Any]:
    return read_checkpoint(run / "checkpoints" / "last.ckpt")


def assert_same(one: Any, other: Any, at: str = "") -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), at
    elif isinstance(one, dict):
        assert set(one) == set(other), at
        for key in one:
            assert_same(one[key], other[key], f"{at}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), at
        for position, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{at}[{position}]")
    else:
        assert one == other, at


class PowerCutError(Exception):
    """Stands in for whatever ends a run early."""


def stop_at(monkeypatch: pytest.MonkeyPatch, epoch: int, batch: int) -> None:
    step = ZooModule.training_step

    def stopping(self: ZooModule, given: Any, batch_index: int) -> Any:
        if (self.current_epoch, batch_index) == (epoch, batch):
            raise PowerCutError
        return step(self, given, batch_index)

    monkeypatch.setattr(ZooModule, "training_step", stopping)


def demanding(cache: Path) -> ZooRecipe:
    """Everything that has a state: dropout, augmentation, plateaus, patience, accumulation."""
    return tiny_recipe(
        SEQUENCE,
        cache,
        options={"values": 2, "units": 1, "norm": True},
        machine={"checkpoint_every_steps": 1},
        augmentation=AUGMENTATIONS["modern"],
        optimiser=OptimiserSettings(
            learning_rate=0.02, schedule="plateau", plateau_patience=1, gradient_clip_norm=1.0
        ),
        stopping=StoppingSettings(patience=2),
        epochs=3,
        accumulation=2,
        batch_size=5,
    )


@pytest.fixture(scope="module")
def uninterrupted(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "whole"
    fit_zoo(demanding(cache), run, architecture=SEQUENCE)
    return run


# The six batches of an epoch make three steps of the optimiser.
@pytest.mark.parametrize(("epoch", "batch"), [(0, 3), (1, 0), (1, 4), (1, 5), (2, 1)])
def test_a_run_stopped_at_any_step_goes_on_as_if_it_had_not_been(
    cache: Path,
    uninterrupted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    epoch: int,
    batch: int,
) -> None:
    recipe = demanding(cache)
    with monkeypatch.context() as patch:
        stop_at(patch, epoch, batch)
        with pytest.raises(PowerCutError):
            fit_zoo(recipe, tmp_path, architecture=SEQUENCE)
    assert len(curve(tmp_path)) == 6 * epoch + batch
    report = fit_zoo(recipe, tmp_path, architecture=SEQUENCE, resume=True)
    assert curve(tmp_path) == curve(uninterrupted)
    assert curve(tmp_path, "validation_curve.csv") == curve(uninterrupted, "validation_curve.csv")
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks"):
        assert_same(last_state(tmp_path)[part], last_state(uninterrupted)[part], part)
    whole = read_checkpoint(uninterrupted / "checkpoints" / "best.ckpt")
    assert report.best is not None
    assert_same(read_checkpoint(report.best)["state_dict"], whole["state_dict"])


def test_the_same_recipe_repeats_bit_for_bit_and_another_seed_does_not(
    cache: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    fit_zoo(demanding(cache), tmp_path / "again", architecture=SEQUENCE)
    assert curve(tmp_path / "again") == curve(uninterrupted)
    assert_same(
        last_state(tmp_path / "again")["state_dict"], last_state(uninterrupted)["state_dict"]
    )
    fit_zoo(replace(demanding(cache), seed=1, epochs=1), tmp_path / "other", architecture=SEQUENCE)
    assert curve(tmp_path / "other")[0]["loss"] != curve(uninterrupted)[0]["loss"]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a single core
def test_readers_beside_training_change_nothing(cache: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(IMAGE, cache)
    fit_zoo(recipe, tmp_path / "none", architecture=IMAGE)
    with_readers = replace(recipe, machine=replace(recipe.machine, workers=2))
    fit_zoo(with_readers, tmp_path / "two", architecture=IMAGE)
    assert curve(tmp_path / "two") == curve(tmp_path / "none")


def test_the_folder_says_all_it_takes_to_repeat_the_run(cache: Path, uninterrupted: Path) -> None:
    record = read_run(uninterrupted, architecture=SEQUENCE)
    assert record.recipe == demanding(cache)
    assert [(target.head.name, target.names) for target in record.heads] == [
        ("expression", ("anger", "happiness", "surprise")),
        ("valence_arousal", ("valence", "arousal")),
        ("action_units", ("au_12",)),
    ]
    said = record.everything
    assert said["data"]["path"] == str(cache.resolve())
    assert len(said["data"]["sha256"]) == 64
    sides = said["data"]["split"]["sides"]
    assert len(sides["train"]) == len(sides["validation"]) == 6
    assert said["versions"]["torch"] == torch.__version__
    assert said["git_commit"] is None or len(said["git_commit"]) == 40
    assert list((uninterrupted / "tensorboard").glob("events.*"))
    assert (uninterrupted / "samples.png").is_file()
    with (uninterrupted / "confusion" / "expression-epoch-000.csv").open(newline="") as file:
        heading, *rows = list(csv.reader(file))
    assert heading == ["truth", "anger", "happiness", "surprise"]
    assert sum(int(cell) for row in rows for cell in row[1:]) == 6 * 8


def test_the_best_epoch_by_validation_is_kept(uninterrupted: Path) -> None:
    seen = [float(row["expression_uar"]) for row in curve(uninterrupted, "validation_curve.csv")]
    best = read_checkpoint(uninterrupted / "checkpoints" / "best.ckpt")
    assert best["epoch"] == seen.index(max(seen))
    trained = load_trained(uninterrupted, architecture=SEQUENCE)
    assert not trained.network.training
    for name, value in trained.network.state_dict().items():
        assert torch.equal(value, best["state_dict"][f"network.{name}"]), name


def test_training_stops_when_nothing_gets_better_and_stays_stopped(
    cache: Path, tmp_path: Path
) -> None:
    recipe = tiny_recipe(
        IMAGE,
        cache,
        optimiser=OptimiserSettings(learning_rate=1e-9),
        stopping=StoppingSettings(patience=2, monitor="expression_accuracy"),
        epochs=9,
    )
    report = fit_zoo(recipe, tmp_path, architecture=IMAGE)
    assert (report.best_epoch, report.epochs_done) == (0, 3)
    before = last_state(tmp_path)
    again = fit_zoo(recipe, tmp_path, architecture=IMAGE, resume=True)
    assert again.epochs_done == 3
    assert_same(last_state(tmp_path), before)
    assert len(curve(tmp_path, "validation_curve.csv")) == 3


def test_a_finished_run_that_is_resumed_stays_as_it_is(cache: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(IMAGE, cache)
    report = fit_zoo(recipe, tmp_path, architecture=IMAGE)
    before, rows = last_state(tmp_path), curve(tmp_path)
    again = fit_zoo(recipe, tmp_path, architecture=IMAGE, resume=True)
    assert (again.best_value, again.best_epoch) == (report.best_value, report.best_epoch)
    assert_same(last_state(tmp_path), before)
    assert curve(tmp_path) == rows


# --- what can be chosen --------------------------------------------------------------------------


def test_frozen_parts_stay_as_they_are_statistics_included(cache: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(
        SEQUENCE, cache, options={"norm": True}, start=StartSettings(frozen=("trunk",))
    )
    fresh = fit_zoo(replace(recipe, epochs=1), tmp_path / "one", architecture=SEQUENCE)
    longer = fit_zoo(recipe, tmp_path / "two", architecture=SEQUENCE)
    one, two = (read_checkpoint(found.last)["state_dict"] for found in (fresh, longer))
    for name, value in one.items():
        assert torch.equal(value, two[name]) == name.startswith("network.trunk"), name
    assert not one["network.trunk.1.running_mean"].any()


def test_a_network_starts_from_another_runs_weights(cache: Path, tmp_path: Path) -> None:
    stills = fit_zoo(tiny_recipe(IMAGE, cache), tmp_path / "stills", architecture=IMAGE)
    start = StartSettings(
        initialise_from=stills.run,
        initialise_part="network.trunk",
        initialise_into="trunk",
        frozen=("trunk",),
    )
    recipe = tiny_recipe(SEQUENCE, cache, start=start)
    report = fit_zoo(recipe, tmp_path / "sequence", architecture=SEQUENCE)
    assert stills.best is not None
    given = read_checkpoint(stills.best)["state_dict"]
    taken = read_checkpoint(report.last)["state_dict"]
    assert torch.equal(taken["network.trunk.0.weight"], given["network.trunk.0.weight"])
    assert "took 2 of 4 tensors, for 2 of the network's 8" in report.notices[0]
    said = (report.run / "initialisation.txt").read_text()
    assert "network.head.weight" in said  # of the file, left
    assert "gru.weight_ih_l0" in said  # of the network, kept


def test_half_precision_trains_near_the_same_curve(cache: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(SEQUENCE, cache)
    fit_zoo(recipe, tmp_path / "full", architecture=SEQUENCE)
    half = replace(recipe, machine=replace(recipe.machine, precision="bf16"))
    fit_zoo(half, tmp_path / "half", architecture=SEQUENCE)
    losses = [[float(row["loss"]) for row in curve(tmp_path / name)] for name in ("full", "half")]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], abs=0.05)


@pytest.mark.parametrize("loss", ["mse", "ccc"])
def test_values_are_learned_by_either_loss(cache: Path, tmp_path: Path, loss: str) -> None:
    recipe = tiny_recipe(
        IMAGE,
        cache,
        options={"classes": 0, "values": 2},
        losses=LossSettings(continuous_loss=loss),  # type: ignore[arg-type]
        batch_size=16,
        epochs=6,
    )
    report = fit_zoo(recipe, tmp_path, architecture=IMAGE)
    assert report.monitor == "valence_arousal_ccc"
    rows = curve(tmp_path)
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


@pytest.mark.parametrize("row", [IMAGE, CLIP, SEQUENCE], ids=lambda row: row.name)
def test_people_who_were_not_learned_from_are_recognised(
    cache: Path, tmp_path: Path, row: Any
) -> None:
    """Brightness tells the classes apart: every kind of network must find out."""
    recipe = tiny_recipe(
        row, cache, options={"norm": True}, optimiser=OptimiserSettings(learning_rate=0.05)
    )
    report = fit_zoo(replace(recipe, epochs=12), tmp_path, architecture=row)
    assert report.best_value is not None
    assert report.best_value > 0.8  # chance is a third


def test_without_a_validation_side_the_last_epoch_is_what_there_is(
    cache: Path, tmp_path: Path
) -> None:
    recipe = tiny_recipe(IMAGE, cache)
    data = replace(recipe.data, protocol="leave-one-subject-out", validation_share=0.0)
    report = fit_zoo(replace(recipe, data=data), tmp_path, architecture=IMAGE)
    assert (report.best, report.best_epoch) == (None, None)
    assert not (tmp_path / "validation_curve.csv").exists()
    assert load_trained(tmp_path, architecture=IMAGE).checkpoint == report.last


@pytest.mark.slow
def test_a_killed_process_costs_nothing_but_the_time_since_its_checkpoint(
    cache: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    """SIGKILL at whatever moment; there is no such moment at which nothing must be gone on from."""
    code = (
        "import sys; from pathlib import Path; from tests.training.test_zoo_fit import *; "
        "fit_zoo(demanding(Path(sys.argv[1])), sys.argv[2], architecture=SEQUENCE, resume=True)"
    )
    for wanted in (3, 9):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(cache), str(tmp_path)], cwd=REPOSITORY
        )
        deadline = time.monotonic() + 180
        path = tmp_path / "train_curve.csv"
        while time.monotonic() < deadline and child.poll() is None:
            if path.exists() and path.read_text().count("\n") > wanted:
                break
            time.sleep(0.01)
        assert child.poll() is None, "it ended before it could be killed"
        child.kill()
        child.wait()
    fit_zoo(demanding(cache), tmp_path, architecture=SEQUENCE, resume=True)
    assert curve(tmp_path) == curve(uninterrupted)
    assert curve(tmp_path, "validation_curve.csv") == curve(uninterrupted, "validation_curve.csv")
    assert_same(last_state(tmp_path)["state_dict"], last_state(uninterrupted)["state_dict"])
