"""`emotrace train`: the recipe's fields as flags, what it calls, what it says without torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emotrace.errors import TrainingError
from tests.cli.conftest import forget_training

if TYPE_CHECKING:
    from tests.cli.conftest import Call


class Trainer:
    """Stands in for `fit` and `export_run`."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.fitted: tuple[Any, ...] = ()
        self.exported: tuple[Any, ...] = ()

    def fit(self, *arguments: Any, **options: Any) -> Path:
        self.fitted = (*arguments, options)
        if self.error is not None:
            raise self.error
        return Path("runs/r/checkpoints/last.ckpt")

    def export(self, *arguments: Any, **options: Any) -> Path:
        self.exported = (*arguments, options)
        return Path(arguments[1])


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    trainer = Trainer()
    monkeypatch.setattr("emotrace.training.teaching.fit_taught", trainer.fit)
    monkeypatch.setattr("emotrace.training.export.export_run", trainer.export)
    return trainer


def test_flags_make_the_recipe(call: Call, trainer: Trainer) -> None:
    from emotrace.training.recipe import DefaultRecipe

    words = "--data d --run r --epochs 2 --refine-epochs 0 --dropout 0.1 --scale 0.9 1.1"
    words += " --no-mixed-precision"
    assert call("train", "default", *words.split()).code == 0
    recipe, data, run, options = trainer.fitted
    assert (data, run) == (Path("d"), Path("r"))
    assert callable(options.pop("tell"))
    assert options == {"teachers": (), "resume": False, "show_progress": True}
    assert (recipe.epochs, recipe.network.dropout) == (2, 0.1)
    assert (recipe.augmentation.scale, recipe.mixed_precision) == ((0.9, 1.1), False)
    assert recipe.batch_size == DefaultRecipe().batch_size
    assert trainer.exported == ()


def test_without_flags_the_recipe_is_the_default_one(call: Call, trainer: Trainer) -> None:
    from emotrace.training.recipe import DefaultRecipe

    call("train", "default", "--data", "d", "--run", "r")
    assert trainer.fitted[0] == DefaultRecipe()


def test_export_makes_a_bundle_of_the_run(call: Call, trainer: Trainer) -> None:
    said = call("train", "default", "--data", "d", "--run", "r", "--resume", "--export", "b/mine")
    assert said.code == 0
    assert trainer.fitted[-1]["resume"] is True
    run, bundle, options = trainer.exported
    assert (run, bundle) == (Path("r"), Path("b/mine"))
    assert callable(options.pop("refit_face_head"))
    assert options == {"data_root": Path("d"), "name": "mine"}
    assert "--bundle b/mine" in said.out


def test_a_value_that_cannot_train_is_wrong_usage(call: Call, trainer: Trainer) -> None:
    said = call("train", "default", "--data", "d", "--run", "r", "--epochs", "0")
    assert (said.code, len(said.error_lines)) == (2, 1)
    assert "expected epochs above 0; got 0" in said.err
    assert trainer.fitted == ()


def test_teachers_are_handed_on(call: Call, trainer: Trainer) -> None:
    words = "--data d --run r --teachers-from runs/a runs/b --teacher-share 0.4"
    assert call("train", "default", *words.split()).code == 0
    assert trainer.fitted[-1]["teachers"] == (Path("runs/a"), Path("runs/b"))
    assert trainer.fitted[0].teacher_share == 0.4


def test_missing_folders_are_named(call: Call) -> None:
    said = call("train", "default")
    assert (said.code, len(said.error_lines)) == (2, 1)
    assert "missing: --data DIR --run DIR" in said.err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_interruption_says_how_to_go_on(call: Call, trainer: Trainer, error: BaseException) -> None:
    trainer.error = error
    said = call("train", "default", "--data", "d", "--run", "r")
    assert said.code == 130
    assert len(said.error_lines) == 1
    assert "--resume" in said.err


def test_failure_is_one_line(call: Call, trainer: Trainer) -> None:
    trainer.error = TrainingError("expected an empty run folder; r holds a run already")
    said = call("train", "default", "--data", "d", "--run", "r")
    assert (said.code, said.out) == (1, "")
    assert said.err == "error: expected an empty run folder; r holds a run already\n"


def test_without_torch_one_line_says_what_to_install(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_training(monkeypatch)
    monkeypatch.delitem(sys.modules, "emotrace.models.compact", raising=False)
    monkeypatch.delitem(sys.modules, "emotrace.cli.train_default", raising=False)
    # None makes `import torch` raise ModuleNotFoundError, as if it were not installed.
    monkeypatch.setitem(sys.modules, "torch", None)
    said = call("train", "default", "--data", "d", "--run", "r")
    assert (said.code, len(said.error_lines)) == (1, 1)
    assert 'pip install ".[train]"' in said.err
