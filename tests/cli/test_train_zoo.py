"""`emotrace train ARCHITECTURE`, `train features`, `export`: flags, refusals, a run to its end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emotrace.analysis.temporal import TrackPredictor
from emotrace.bundle import load_bundle
from emotrace.cli.arguments import parse_arguments
from emotrace.models.zoo import ARCHITECTURES
from tests.training.tiny_zoo import write_cache

if TYPE_CHECKING:
    from tests.cli.conftest import Call


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("tiny"), clips=18, subjects=6)


SMALL = "--widths 4 8 --blocks 1 1 --stem-width 4 --input-size-px 16 --threads 1 --accelerator cpu"
HELD_OUT = "--protocol holdout --validation-share 0.34 --test-share 0.34 --batch-size 8"


def test_the_list_of_verbs_loads_no_torch() -> None:
    code = (
        "import sys; from emotrace.cli.app import main; main(['train', '--help']); "
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "any network that 'emotrace models' lists" in done.stdout
    assert not {"torch", "onnxruntime", "cv2", "numpy"} & set(done.stderr.split())


@pytest.mark.parametrize("row", ARCHITECTURES, ids=lambda row: row.name)
def test_every_architecture_has_flags_of_its_own_and_of_the_recipe(row: Any) -> None:
    """A field of its options with the name of a recipe's would make the flags ambiguous."""
    from emotrace.cli.train_zoo import argument_class, recipe_from

    words = "--data d --run r --epochs 3 --protocol k-fold --fold 2 --optimiser sgd --steps 7"
    arguments = parse_arguments(
        argument_class(row),
        [*words.split(), "--augment", "rangulov2020", "--frozen", "head"],
        program="emotrace train",
        description="",
    )
    recipe = recipe_from(arguments, row)
    assert recipe.options == row.options()
    assert (recipe.architecture, recipe.data.data) == (row.name, Path("d"))
    assert (recipe.epochs, recipe.data.fold, recipe.windows.steps) == (3, 2, 7)
    assert (recipe.optimiser.optimiser, recipe.start.frozen) == ("sgd", ("head",))
    assert recipe.augmentation.scale == (0.9, 1.25)


def test_help_shows_both_kinds_of_flags(call: Call) -> None:
    said = call("train", "compact-gru", "--help")
    assert said.code == 0
    for flag in ("--temporal {gru,lstm", "--protocol {auto,official", "--gradient-clip-norm"):
        assert flag in said.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("defualt", "did you mean 'default'?"),
        ("featurs", "did you mean 'features'?"),
        ("compact-gruu", "got 'compact-gruu'; did you mean compact-gru"),
        ("ARCHITECTURE", "a network's name in the place of ARCHITECTURE; 'emotrace models'"),
        ("--data d", "expected a verb out of default, features, ARCHITECTURE; got '--data'"),
        ("compact --data d", "missing: --run DIR"),
        ("compact --data d --run r --lerning-rate 1", "perhaps you meant --learning-rate"),
        ("compact --data d --run r --dropuot 0.1", "perhaps you meant --dropout"),
        ("compact --data d --run r --epochs 0", "expected epochs of 1 or more; got 0"),
        ("features runs/x", "missing: CACHE OUT"),
    ],
)
def test_wrong_words_are_one_line_with_the_right_ones(call: Call, words: str, message: str) -> None:
    said = call("train", *words.split())
    assert (said.code, len(said.error_lines)) == (2, 1)
    assert message in said.err


def test_data_that_is_not_there_is_one_line(call: Call, tmp_path: Path) -> None:
    said = call("train", "compact", "--data", tmp_path / "none", "--run", tmp_path / "run")
    assert (said.code, said.out, len(said.error_lines)) == (1, "", 1)
    assert "expected a crop cache, feature vectors or ferplus.parquet" in said.err


def test_a_network_is_trained_measured_and_made_a_bundle(
    call: Call, cache: Path, tmp_path: Path
) -> None:
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    words = ["train", "compact", "--data", cache, "--run", run, "--epochs", 1]
    said = call(*words, *SMALL.split(), *HELD_OUT.split(), "--export", bundle)
    assert said.code == 0, said.err
    assert "note: the data has 3 classes: classes is 3, not 8" in said.err
    assert (
        "best by validation: epoch 0, counted from 0 as in its curves; expression_uar" in said.out
    )
    assert "\nepoch 0: loss " in said.err
    assert "expression, videos by sum " in said.out
    assert "use it with: emotrace analyze INPUT" in said.out
    scores = json.loads((run / "evaluation.json").read_text())
    assert scores["side"] == "test"
    record = json.loads((run / "run.json").read_text())
    assert record["recipe"]["options"]["classes"] == 3
    spec = json.loads((bundle / "spec.json").read_text())
    assert spec["labels"] == ["anger", "happiness", "surprise"]
    assert spec["crop"]["size_px"] == 12
    again = call(*words, *SMALL.split(), *HELD_OUT.split())
    assert (again.code, len(again.err.splitlines())) == (1, 2)  # the note and the error
    assert "expected an empty run folder" in again.err
    resumed = call(*words, *SMALL.split(), *HELD_OUT.split(), "--resume", "--skip-test")
    assert resumed.code == 0
    assert "trained for 1 epochs" in resumed.out


def test_vectors_are_made_learned_from_and_joined_for_a_bundle(
    call: Call, cache: Path, tmp_path: Path
) -> None:
    stills, vectors, run = tmp_path / "stills", tmp_path / "vectors", tmp_path / "run"
    words = ["train", "compact", "--data", cache, "--run", stills, "--epochs", 1, "--skip-test"]
    assert call(*words, *SMALL.split(), *HELD_OUT.split()).code == 0
    made = call("train", "features", stills, cache, vectors)
    assert made.code == 0
    assert "144 vectors of 8 values, of compact, best.ckpt of epoch 1" in made.out
    words = ["train", "vectors-gru", "--data", vectors, "--run", run, "--epochs", 1]
    flags = "--heads expression valence_arousal --width 6 --steps 4 --threads 1 --accelerator cpu"
    said = call(*words, *flags.split(), *HELD_OUT.split())
    assert said.code == 0, said.err
    assert "note: the data has 8 values in a vector: features is 8, not 256" in said.err
    assert "valence" in said.out
    without = call("export", run, "-o", tmp_path / "bundle")
    assert without.code == 2
    assert (
        "expected the run of the network that made the vectors (compact, best.ckpt" in without.err
    )
    done = call("export", run, "-o", tmp_path / "bundle", "--extractor", stills, "--skip-test")
    assert done.code == 0, done.err
    spec = json.loads((tmp_path / "bundle" / "spec.json").read_text())
    assert spec["temporal"] == "recurrent"
    other = tmp_path / "other"
    words = ["train", "compact", "--data", cache, "--run", other, "--epochs", 1, "--skip-test"]
    assert call(*words, *SMALL.split(), *HELD_OUT.split(), "--seed", 5).code == 0
    wrong = call("export", run, "-o", tmp_path / "wrong", "--extractor", other)
    assert wrong.code == 2
    assert "has other weights" in wrong.err


def test_a_bundle_of_labels_seen_together_is_made_and_said_to_be_for_python(
    call: Call, cache: Path, tmp_path: Path
) -> None:
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    words = ["train", "compact", "--data", cache, "--run", run, "--epochs", 1, "--skip-test"]
    assert call(*words, *SMALL.split(), *HELD_OUT.split(), "--heads", "emotions").code == 0
    said = call("export", run, "-o", bundle, "--skip-test")
    assert said.code == 0, said.err
    assert "predicts (emotions); use it from Python" in said.out
    assert "emotrace analyze INPUT" not in said.out
    predictor = TrackPredictor(load_bundle(bundle))
    crop = np.full((12, 12, 3), 90, np.uint8)
    found = predictor.step([crop], face_ids=[1], timestamp_seconds=0.0).others["emotions"]
    assert found.shape == (1, 3)
    assert ((found > 0) & (found < 1)).all()


def test_exporting_what_is_no_run_is_one_line(call: Call, tmp_path: Path) -> None:
    said = call("export", tmp_path, "-o", tmp_path / "bundle")
    assert (said.code, len(said.error_lines)) == (1, 1)
    assert "expected the run of a network of the zoo in" in said.err
    said = call("export", tmp_path)
    assert said.code == 2
    assert "missing: -o DIR" in said.err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_interruption_says_how_to_go_on(
    call: Call, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("emotrace.training.zoo.fit.fit_zoo", stopped)
    said = call("train", "compact", "--data", cache, "--run", tmp_path)
    assert said.code == 130
    assert "the same command with --resume goes on from the last" in said.err


@pytest.mark.slow
def test_two_processes_train_from_the_command_line(call: Call, cache: Path, tmp_path: Path) -> None:
    words = ["train", "compact", "--data", cache, "--run", tmp_path, "--epochs", 1]
    said = call(*words, *SMALL.split(), *HELD_OUT.split(), "--devices", 2)
    assert said.code == 0, said.err
    assert "best by validation: epoch 0" in said.out
