"""Runs that go wrong: a loss that is no number, a full disk, another run's checkpoint."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from emotrace.errors import OutputError, TrainingError, UsageError
from emotrace.training.zoo.checkpoints import read_checkpoint
from emotrace.training.zoo.fit import fit_zoo
from emotrace.training.zoo.module import ZooModule
from emotrace.training.zoo.recipe import LossSettings, StartSettings, StoppingSettings
from emotrace.training.zoo.run import load_trained
from tests.training.tiny_zoo import CLIP, IMAGE, SEQUENCE, tiny_recipe, write_cache


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("tiny"))


def last_state(run: Path) -> dict[str, Any]:
    return read_checkpoint(run / "checkpoints" / "last.ckpt")


def test_a_loss_that_is_not_finite_names_the_batch_and_the_clips(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = ZooModule.forward

    def poisoned(self: ZooModule, inputs: torch.Tensor) -> torch.Tensor:
        outputs = step(self, inputs)
        if self.training and (self.current_epoch, self.trainer.global_step) == (1, 4):
            outputs = outputs.clone()
            outputs[2] = float("nan")
        return outputs

    monkeypatch.setattr(ZooModule, "forward", poisoned)
    recipe = tiny_recipe(SEQUENCE, cache)
    with pytest.raises(
        TrainingError,
        match=r"finite loss; got nan at epoch 1, batch 1; outputs that are not finite for "
        r"clip\d\d frames \d-\d; look at those clips",
    ):
        fit_zoo(recipe, tmp_path, architecture=SEQUENCE)
    assert last_state(tmp_path)["epoch"] == 0


def test_a_full_disk_costs_no_checkpoint_that_is_there(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes
    saved: list[Path] = []

    def full(self: Path, data: Any) -> int:
        if self.suffix == ".ckpt":
            saved.append(self)
            if len(saved) > 3:  # best and last of the first epoch, best or last of the second
                write(self, bytes(data)[:100])
                raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        recipe = tiny_recipe(IMAGE, cache, epochs=3)
        with pytest.raises(
            OutputError, match=r"No space left on device; .* the checkpoint before it is kept"
        ):
            fit_zoo(recipe, tmp_path, architecture=IMAGE)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "best.ckpt",
        "last.ckpt",
    ]
    done = last_state(tmp_path)["epoch"]
    assert done < 2
    assert fit_zoo(recipe, tmp_path, architecture=IMAGE, resume=True).epochs_done == 3


def test_a_checkpoint_of_another_architecture_is_refused(cache: Path, tmp_path: Path) -> None:
    fit_zoo(tiny_recipe(IMAGE, cache, epochs=1), tmp_path, architecture=IMAGE)
    with pytest.raises(
        TrainingError, match=r"architecture 'tiny-clip' .*; got one of 'tiny-image'"
    ):
        fit_zoo(tiny_recipe(CLIP, cache), tmp_path, architecture=CLIP, resume=True)
    with pytest.raises(TrainingError, match=r"it has other epochs \(1 there, 5 now\)"):
        fit_zoo(tiny_recipe(IMAGE, cache, epochs=5), tmp_path, architecture=IMAGE, resume=True)
    with pytest.raises(TrainingError, match="expected an empty run folder"):
        fit_zoo(tiny_recipe(IMAGE, cache), tmp_path, architecture=IMAGE)
    record = json.loads((tmp_path / "run.json").read_text())
    changed = {**record, "data": {**record["data"], "sha256": "0"}}
    (tmp_path / "run.json").write_text(json.dumps(changed))
    with pytest.raises(TrainingError, match="has changed since; choose another run folder"):
        fit_zoo(tiny_recipe(IMAGE, cache, epochs=1), tmp_path, architecture=IMAGE, resume=True)
    record["recipe"]["options"]["features"] = 9
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(TrainingError, match=r"weights of the recipe's network in .*; got others"):
        load_trained(tmp_path, architecture=IMAGE)
    start = StartSettings(initialise_from=tmp_path)
    with pytest.raises(UsageError, match="got those of another architecture"):
        fit_zoo(
            tiny_recipe(SEQUENCE, cache, start=start, options={"features": 4}),
            tmp_path / "other",
            architecture=SEQUENCE,
        )


@pytest.mark.parametrize("content", [None, b"", b"no checkpoint", b"\x80\x02N."])
def test_a_checkpoint_that_is_none_is_an_error_in_one_line(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "last.ckpt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match="expected a checkpoint at") as told:
        read_checkpoint(path)
    assert "\n" not in str(told.value)
    torch.save({"epoch": 1, "state_dict": {}}, path)
    with pytest.raises(TrainingError, match="it lacks emotrace_architecture"):
        read_checkpoint(path)


def test_what_cannot_train_is_refused_before_anything_is_written(
    cache: Path, tmp_path: Path
) -> None:
    recipe = tiny_recipe(IMAGE, cache)
    for changes, message in (
        ({"batch_size": 99}, "batch_size times accumulation of at most 48, .*; got 99 x 1"),
        ({"stopping": StoppingSettings(monitor="expresion_uar")}, "mean 'expression_uar'"),
        ({"start": StartSettings(frozen=("trunc",))}, "got 'trunc'; did you mean trunk"),
        ({"start": StartSettings(frozen=("trunk", "head"))}, "leaves nothing"),
        ({"losses": LossSettings(head_weights=(1.0, 2.0))}, "1 heads .expression.; got 2"),
    ):
        with pytest.raises((TrainingError, UsageError), match=message):
            fit_zoo(replace(recipe, **changes), tmp_path, architecture=IMAGE)
    with pytest.raises(UsageError, match="expected options of 'tiny-image'"):
        fit_zoo(replace(recipe, options=None), tmp_path, architecture=IMAGE)
    assert not (tmp_path / "checkpoints").exists()
