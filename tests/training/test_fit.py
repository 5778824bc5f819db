"""A tiny run from nothing to its folder: stopped and resumed, damaged and refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from emotrace.errors import DatasetError, TrainingError
from emotrace.training.fit import count_epochs, fit, load_averaged_network
from emotrace.training.module import ExpressionModule
from emotrace.training.recipe import DefaultRecipe
from emotrace.training.recipe_record import recipe_from_record
from tests.datasets.fake_ferplus import make_rows, write_fake_ferplus, write_rows
from tests.training.tiny import TINY_RECIPE


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_ferplus(tmp_path_factory.mktemp("data"))


def train(data: Path, run: Path, recipe: DefaultRecipe = TINY_RECIPE, **options: Any) -> Path:
    return fit(recipe, data, run, show_progress=False, **options)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    train(data, run)
    return run


def state_of(run: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return state


class PowerCutError(Exception):
    """Stands in for whatever ends a run early."""


def stop_in_epoch(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    step = ExpressionModule.training_step

    def stopping(self: ExpressionModule, batch: Any, batch_index: int) -> Any:
        if self.current_epoch == epoch and batch_index == 2:
            raise PowerCutError
        return step(self, batch, batch_index)

    monkeypatch.setattr(ExpressionModule, "training_step", stopping)


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


def test_a_run_that_was_stopped_and_resumed_is_the_run_that_was_not(
    data: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        stop_in_epoch(patch, 1)
        with pytest.raises(PowerCutError):
            train(data, run)
    last = run / "checkpoints" / "last.ckpt"
    assert count_epochs(last) == 1
    assert train(data, run, resume=True) == last
    assert count_epochs(last) == 2
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_same(state_of(run)[part], state_of(finished)[part], part)
    for folder, epoch in (("csv", "0"), ("csv-from-epoch-1", "1")):
        header, *rows = (run / folder / "metrics.csv").read_text().splitlines()
        at = header.split(",").index("epoch")
        assert {row.split(",")[at] for row in rows} >= {epoch}, folder


def test_a_finished_run_can_be_polished_as_if_it_had_been_meant_to(
    data: Path, tmp_path: Path
) -> None:
    polished = dataclasses.replace(TINY_RECIPE, polish_epochs=1)
    train(data, tmp_path / "at-once", polished)
    train(data, tmp_path / "later")
    train(data, tmp_path / "later", polished, resume=True)
    assert count_epochs(tmp_path / "later" / "checkpoints" / "last.ckpt") == 3
    assert_same(*(state_of(tmp_path / name)["state_dict"] for name in ("later", "at-once")))


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(
    data: Path, finished: Path, tmp_path: Path
) -> None:
    train(data, tmp_path / "again")
    assert_same(state_of(tmp_path / "again")["state_dict"], state_of(finished)["state_dict"])
    train(data, tmp_path / "other", dataclasses.replace(TINY_RECIPE, seed=1))
    name = "network.ferplus_head.weight"
    other = state_of(tmp_path / "other")["state_dict"][name]
    assert not torch.equal(other, state_of(finished)["state_dict"][name])


def test_every_epoch_meets_other_faces(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, list[float]] = {}
    step = ExpressionModule.training_step

    def watching(self: ExpressionModule, batch: Any, batch_index: int) -> Any:
        seen.setdefault(self.current_epoch, []).append(float(batch.images.sum()))
        return step(self, batch, batch_index)

    monkeypatch.setattr(ExpressionModule, "training_step", watching)
    train(data, tmp_path / "run", dataclasses.replace(TINY_RECIPE, epochs=3))
    assert [len(sums) for sums in seen.values()] == [4, 4, 4]
    assert not set(seen[0]) & set(seen[1])
    assert not set(seen[1]) & set(seen[2])


def test_the_folder_says_all_it_takes_to_repeat_the_run(data: Path, finished: Path) -> None:
    record = json.loads((finished / "run.json").read_text())
    assert recipe_from_record(record["recipe"]) == TINY_RECIPE
    assert record["data"] == {
        "path": str(data.resolve()),
        "bytes": data.stat().st_size,
        "sha256": hashlib.sha256(data.read_bytes()).hexdigest(),
    }
    assert record["versions"]["torch"] == torch.__version__
    assert sum(record["priors_sampled"][0]) == pytest.approx(1)
    commit = record["git_commit"]
    assert commit is None or len(commit) == 40
    header, *rows = (finished / "csv" / "metrics.csv").read_text().splitlines()
    columns = header.split(",")
    assert {"train_loss", "validation_loss", "validation_accuracy"} <= set(columns)
    epochs = {row.split(",")[columns.index("epoch")] for row in rows}
    assert epochs == {"0", "1"}
    assert list((finished / "tensorboard").glob("events.*"))


def test_the_averaged_weights_come_back_ready_for_evaluation(finished: Path) -> None:
    last = finished / "checkpoints" / "last.ckpt"
    network = load_averaged_network(TINY_RECIPE, last)
    assert not network.training
    state = state_of(finished)["state_dict"]
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[f"averaged.module.{name}"]), name
    assert not torch.equal(network.state_dict()["stem.1.weight"], state["network.stem.1.weight"])


def test_a_finished_run_that_is_resumed_stays_as_it_is(data: Path, tmp_path: Path) -> None:
    short = dataclasses.replace(TINY_RECIPE, epochs=1)
    train(data, tmp_path, short)
    before = state_of(tmp_path)["state_dict"]
    train(data, tmp_path, short, resume=True)
    assert_same(state_of(tmp_path)["state_dict"], before)


def test_a_run_is_not_overwritten(data: Path, finished: Path) -> None:
    with pytest.raises(TrainingError, match=r"expected an empty run folder; .* give --resume"):
        train(data, finished)


def test_a_loss_that_is_not_finite_says_when(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = ExpressionModule.training_step

    def poisoned(self: ExpressionModule, batch: Any, batch_index: int) -> Any:
        if self.current_epoch == 1 and batch_index == 2:
            batch = batch._replace(images=batch.images * float("nan"))
        return step(self, batch, batch_index)

    monkeypatch.setattr(ExpressionModule, "training_step", poisoned)
    with pytest.raises(TrainingError, match="expected a finite loss; got nan at epoch 1, batch 2;"):
        train(data, tmp_path)


def test_a_batch_larger_than_the_data_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"batch_size of at most 64, .*; got 65"):
        train(data, tmp_path, dataclasses.replace(TINY_RECIPE, batch_size=65))


def test_an_expression_that_no_training_image_shows_does_not_stop_training(tmp_path: Path) -> None:
    rows = [
        {**row, "votes_contempt": 0}
        for split in ("train", "validation")
        for row in make_rows(split, 32, 3)
    ]
    write_rows(rows, tmp_path)
    train(tmp_path, tmp_path / "run", dataclasses.replace(TINY_RECIPE, epochs=1))
    weights = state_of(tmp_path / "run")["state_dict"]
    assert all(bool(torch.isfinite(value.float()).all()) for value in weights.values())
    assert math.isfinite(weights["ferplus_log_prior"].min())


def test_without_the_data_nothing_is_trained(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected ferplus\.parquet"):
        train(tmp_path / "none", tmp_path / "run")


@pytest.mark.parametrize("content", [None, b"", b"no checkpoint", b"\x80\x02N."])
def test_a_checkpoint_that_is_none_is_an_error_in_one_line(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "last.ckpt"
    if content is not None:
        path.write_bytes(content)
    for read in (count_epochs, lambda at: load_averaged_network(TINY_RECIPE, at)):
        with pytest.raises(TrainingError, match="expected a checkpoint at") as told:
            read(path)
        assert "\n" not in str(told.value)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, finished: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "other.ckpt")
    with pytest.raises(TrainingError, match="it lacks state_dict"):
        count_epochs(tmp_path / "other.ckpt")
    wider = dataclasses.replace(
        TINY_RECIPE, network=dataclasses.replace(TINY_RECIPE.network, widths=(8, 20))
    )
    with pytest.raises(TrainingError, match=r"weights of the recipe's network in .*; got others"):
        load_averaged_network(wider, finished / "checkpoints" / "last.ckpt")


def test_a_run_folder_that_was_copied_goes_on_and_its_newest_state_is_the_last(
    data: Path, finished: Path, tmp_path: Path
) -> None:
    run = tmp_path / "copied"
    shutil.copytree(finished, run)
    longer = dataclasses.replace(TINY_RECIPE, polish_epochs=1)
    train(data, run, longer, resume=True)
    assert count_epochs(run / "checkpoints" / "last.ckpt") == longer.epochs_total
    assert not list((run / "checkpoints").glob("last-v*"))
