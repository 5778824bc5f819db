"""Teachers: what they add to the labels, which ones are trained, which are refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from emotrace.errors import TrainingError, UsageError
from emotrace.training.batches import FaceBatch, FaceDataset, sampling_priors, sampling_weights
from emotrace.training.fit import fit, load_averaged_network
from emotrace.training.module import ExpressionModule
from emotrace.training.teaching import TEACHERS_FOLDER, fit_taught, load_teachers
from tests.datasets.fake_ferplus import write_fake_ferplus
from tests.training.tiny import TINY_RECIPE, make_split

TAUGHT = dataclasses.replace(TINY_RECIPE, teachers=2, teacher_share=0.5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_ferplus(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def teachers(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("teachers")
    runs = [folder / "one", folder / "two"]
    for seed, run in enumerate(runs):
        recipe = dataclasses.replace(TINY_RECIPE, seed=seed)
        fit(recipe, data, run, show_progress=False)
    return runs


@pytest.fixture(scope="module")
def taught(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run that trained its own teachers."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    told: list[str] = []
    fit_taught(TAUGHT, data, run, show_progress=False, tell=told.append)
    assert [line.split(",")[0] for line in told] == [
        "teacher 1 of 2",
        "teacher 2 of 2",
        "the network itself",
    ]
    return run


def record_of(run: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((run / "run.json").read_text())
    return record


def weights_of(run: Path) -> dict[str, Any]:
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    weights: dict[str, Any] = state["state_dict"]
    return weights


def test_teachers_are_runs_of_the_same_recipe_from_other_starts(taught: Path) -> None:
    pupil = record_of(taught)
    folders = sorted((taught / TEACHERS_FOLDER).iterdir())
    assert [folder.name for folder in folders] == ["0", "1"]
    seeds = {pupil["recipe"]["seed"]}
    for folder, said in zip(folders, pupil["teachers"], strict=True):
        teacher = record_of(folder)
        recipe = teacher["recipe"]
        differing = {key for key, value in pupil["recipe"].items() if recipe[key] != value}
        assert differing == {"teachers", "seed"}
        assert (recipe["teachers"], teacher["teachers"]) == (0, [])
        seeds.add(recipe["seed"])
        content = (folder / "checkpoints" / "last.ckpt").read_bytes()
        assert said["checkpoint_sha256"] == hashlib.sha256(content).hexdigest()
        assert said["recipe"] == recipe
    assert len(seeds) == 3
    assert not any("teachers" in name for name in weights_of(taught))


def ask(
    teachers: list[Path], faces: FaceDataset, share: float
) -> tuple[FaceBatch, tuple[torch.Tensor, torch.Tensor], list[list[torch.Tensor]]]:
    """Return a batch of all faces, its mixed labels, and what each teacher says of it."""
    priors = sampling_priors(faces, sampling_weights(faces, 0.0))
    networks = [
        load_averaged_network(TINY_RECIPE, run / "checkpoints" / "last.ckpt") for run in teachers
    ]
    recipe = dataclasses.replace(TAUGHT, teacher_share=share)
    module = ExpressionModule(recipe, priors, 10, teachers=networks)
    batch = faces[list(range(len(faces)))]
    mixed = module._ask_teachers(batch.images, batch.ferplus_shares, batch.fer2013_shares)
    said = []
    for network in networks:
        with torch.inference_mode():
            odds = [
                network(batch.images)[head].exp() * prior.clamp_min(1e-6)
                for head, prior in enumerate(priors)
            ]
        said.append([each / each.sum(dim=1, keepdim=True) for each in odds])
    assert not any(parameter.requires_grad for n in networks for parameter in n.parameters())
    return batch, mixed, said


def test_labels_are_mixed_with_what_the_teachers_say(teachers: list[Path]) -> None:
    votes = [[10] + [0] * 9, [0] * 8 + [10, 0], [0, 0, 6, 4, 0, 0, 0, 0, 0, 0]]
    batch, mixed, said = ask(teachers, FaceDataset(make_split(votes, [2, -1, 5])), 0.4)
    labels = (batch.ferplus_shares, batch.fer2013_shares)
    for head, (found, label) in enumerate(zip(mixed, labels, strict=True)):
        # The first teacher has two of the three faces, the second has the last.
        torch.testing.assert_close(found[0], 0.6 * label[0] + 0.4 * said[0][head][0])
        torch.testing.assert_close(found[2], 0.6 * label[2] + 0.4 * said[1][head][2])
        assert found[1].sum() == 0  # no label, and no answer in its place
    assert not torch.equal(said[0][0][2], said[1][0][2])


def test_each_teacher_answers_for_an_equal_part_of_a_batch(teachers: list[Path]) -> None:
    votes = [[10] + [0] * 9] * 8
    _, mixed, said = ask(teachers, FaceDataset(make_split(votes, [2] * 8)), 1.0)
    for head in (0, 1):
        torch.testing.assert_close(mixed[head][:4], said[0][head][:4])
        torch.testing.assert_close(mixed[head][4:], said[1][head][4:])


def test_a_batch_may_be_smaller_than_the_number_of_teachers(teachers: list[Path]) -> None:
    _, mixed, said = ask(teachers, FaceDataset(make_split([[10] + [0] * 9], [2])), 1.0)
    torch.testing.assert_close(mixed[0], said[0][0])


def test_teachers_see_faces_of_their_own_size_while_small_ones_are_learnt(
    teachers: list[Path],
) -> None:
    faces = FaceDataset(make_split([[10] + [0] * 9] * 16, [2] * 16))
    priors = sampling_priors(faces, sampling_weights(faces, 0.0))
    network = load_averaged_network(TINY_RECIPE, teachers[0] / "checkpoints" / "last.ckpt")
    recipe = dataclasses.replace(TAUGHT, first_size_px=32, growing_share=1.0)
    module = ExpressionModule(recipe, priors, 10, teachers=[network])
    seen: dict[str, tuple[int, ...]] = {}
    network.register_forward_hook(lambda _, given, __: seen.update(teacher=given[0].shape))
    module.network.register_forward_hook(lambda _, given, __: seen.update(pupil=given[0].shape))
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    module.training_step(faces[list(range(16))], 0)
    assert seen["teacher"][2:] == (48, 48)
    assert seen["pupil"][2:] == (32, 32)


def test_what_teachers_say_changes_what_is_learnt(
    data: Path, teachers: list[Path], tmp_path: Path
) -> None:
    for run, named in (("of-one", teachers[:1]), ("of-both", teachers)):
        fit_taught(TAUGHT, data, tmp_path / run, teachers=named, show_progress=False)
    learnt = [weights_of(run) for run in (tmp_path / "of-one", tmp_path / "of-both", teachers[0])]
    heads = [weights["network.ferplus_head.weight"] for weights in learnt]
    assert not torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert not (tmp_path / "of-one" / TEACHERS_FOLDER).exists()


@pytest.mark.parametrize("stopped_in", ["the second teacher", "the pupil"])
def test_a_run_that_was_stopped_and_resumed_is_the_run_that_was_not(
    data: Path, taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_in: str
) -> None:
    seed = TAUGHT.seed if stopped_in == "the pupil" else 2000
    step = ExpressionModule.training_step

    def stopping(self: ExpressionModule, batch: Any, batch_index: int) -> Any:
        if self.recipe.seed == seed and self.current_epoch == 1 and batch_index == 1:
            raise InterruptedError
        return step(self, batch, batch_index)

    with monkeypatch.context() as patch:
        patch.setattr(ExpressionModule, "training_step", stopping)
        with pytest.raises(InterruptedError):
            fit_taught(TAUGHT, data, tmp_path, show_progress=False)
    fit_taught(TAUGHT, data, tmp_path, resume=True, show_progress=False)
    whole, resumed = weights_of(taught), weights_of(tmp_path)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_run_that_is_there_is_not_overwritten(data: Path, taught: Path) -> None:
    with pytest.raises(TrainingError, match="--resume"):
        fit_taught(TAUGHT, data, taught, show_progress=False)


def test_a_teacher_of_other_data_is_refused(teachers: list[Path], tmp_path: Path) -> None:
    other = write_fake_ferplus(tmp_path, validation=9)
    with pytest.raises(TrainingError, match="was trained on other data"):
        load_teachers(teachers[:1], other)


def test_an_unfinished_teacher_is_refused(data: Path, teachers: list[Path], tmp_path: Path) -> None:
    run = tmp_path / "short"
    shutil.copytree(teachers[0], run)
    record = record_of(run)
    record["recipe"]["epochs"] += 1
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(TrainingError, match=r"a finished run of 3 epochs in .*; it has done 2; go"):
        load_teachers([run], data)
    (run / "checkpoints" / "last.ckpt").unlink()
    with pytest.raises(TrainingError, match="expected a checkpoint"):
        load_teachers([run], data)


def test_wanted_teachers_are_asked_for_and_unwanted_ones_refused(
    data: Path, teachers: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="expected teachers, as the recipe wants 2"):
        fit(TAUGHT, data, tmp_path / "run", show_progress=False)
    with pytest.raises(UsageError, match="expected no teachers"):
        fit_taught(TINY_RECIPE, data, tmp_path / "run", teachers=teachers, show_progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change", [{"teacher_share": 0.0}, {"teacher_share": 1.1}, {"teachers": -1}]
)
def test_numbers_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(change))):
        dataclasses.replace(TINY_RECIPE, **change)
