"""`emotrace compare` and `emotrace evaluate` on crop caches: runs and bundles, to the screen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emotrace.analysis.post_processing import AffectPostProcessing
from emotrace.cli.app import main
from tests.training.tiny_zoo import write_cache

if TYPE_CHECKING:
    from tests.cli.conftest import Call

SMALL = (
    "--widths 4 --blocks 1 --stem-width 4 --input-size-px 12 --threads 1 --accelerator cpu "
    "--epochs 1 --batch-size 16 --heads expression valence_arousal --skip-test --quiet"
)
SPLIT = ["--protocol", "holdout", "--validation-share", "0.2", "--test-share", "0.5"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache, two runs of one split, one of another, a bundle of the first."""
    root = tmp_path_factory.mktemp("models")
    cache = write_cache(root / "tiny", clips=18, subjects=6)
    for name, more in (("one", []), ("two", ["--seed", "1"]), ("moved", ["--split-seed", "1"])):
        words = ["train", "compact", "--data", str(cache), "--run", str(root / name)]
        assert main([*words, *SMALL.split(), *SPLIT, *more]) == 0
    export = ["export", str(root / "one"), "-o", str(root / "bundle"), "--skip-test"]
    assert main(export) == 0
    return root


@pytest.fixture(scope="module")
def on_vectors(root: Path) -> Path:
    """Vectors of the first run's trunk and two runs on them, of its split; another's vectors."""
    for of, vectors in (("one", "vectors"), ("two", "strange")):
        words = ["train", "features", root / of, root / "tiny/cache", root / vectors]
        assert main([*map(str, words), "--quiet"]) == 0
    shape = "--width 4 --heads expression valence_arousal --steps 4 --batch-size 8 --epochs 1"
    machine = "--threads 1 --accelerator cpu --skip-test --quiet"
    for name, kind in (("gru", "vectors-gru"), ("tcn", "vectors-tcn")):
        words = ["train", kind, "--data", root / "vectors", "--run", root / name, *SPLIT]
        assert main([*map(str, words), *shape.split(), *machine.split()]) == 0
    return root


@pytest.mark.parametrize("verb", ["compare", "evaluate"])
def test_help_loads_no_torch(verb: str) -> None:
    code = (
        f"import sys; from emotrace.cli.app import main; main(['{verb}', '--help']); "
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--side" in done.stdout
    assert not {"torch", "onnxruntime", "cv2", "pyarrow"} & set(done.stderr.split())


def test_runs_of_one_split_stand_side_by_side(call: Call, root: Path, tmp_path: Path) -> None:
    words = ["compare", root / "one", root / "two", "--unit", "video"]
    said = call(*words, "--out", tmp_path / "out")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0] == "Models, compared on 96 frames of 12 videos"
    assert any(line.startswith("B - A  expression  McNemar") for line in lines)
    assert any(line.startswith("B - A  valence     CCC") for line in lines)
    assert any(line.startswith("split: 30:20:50 by subject") for line in lines)
    found = json.loads(call(*words, "--json").out)
    assert found["notices"] == []
    assert found == json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert "## Differences" in (tmp_path / "out" / "comparison.md").read_text()


def test_other_splits_and_bundles_are_flagged(call: Call, root: Path) -> None:
    said = call("compare", root / "one", root / "moved", root / "bundle", "--all-pairs")
    assert said.code == 0, said.err
    assert "note: the splits differ" in said.err
    assert "that all share are compared here" in said.err
    assert "a bundle does not say whom it learned from" in said.err
    assert "C - B" in said.out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("", 2, "two or more different models; got none"),
        ("one", 2, "two or more different models; got"),
        ("one one", 2, "two or more different models"),
        ("one none", 1, "expected a bundle's name or folder"),
        ("one tiny", 1, "run (run.json) or of a bundle (spec.json)"),
        ("bundle default", 2, "give a crop cache (--data)"),
        ("one two --whole", 2, "expected --data with --whole"),
        ("one two --data {root}/tiny/cache --whole", 2, "its own split holds: holdout, fold 1"),
        ("one two --data {root}/none", 1, "there is nothing"),
        ("one two --whole --protocol k-fold --data x", 2, "got both"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    call: Call, root: Path, words: str, code: int, message: str
) -> None:
    names = {"one", "two", "none", "tiny", "bundle"}
    given = [str(root / w) if w in names else w.format(root=root) for w in words.split()]
    said = call("compare", *given)
    assert (said.code, said.out) == (code, "")
    assert message in said.error_lines[-1]


def test_bundles_are_compared_on_a_cache(call: Call, root: Path) -> None:
    words = ["compare", "default", root / "bundle", "--data", root / "tiny/cache"]
    assert call(*words).code == 1  # no test side without a protocol
    said = call(*words, "--whole")
    assert said.code == 0, said.err
    assert "default knows 8 classes and chooses here among 3" in said.err
    assert "compared on 144 frames of 18 videos" in said.out


# --- emotrace evaluate ---------------------------------------------------------------------------


def test_a_run_is_evaluated_on_its_own_test_side(call: Call, root: Path, tmp_path: Path) -> None:
    words = ["evaluate", root / "one", "cache", root / "tiny/cache"]
    out = tmp_path / "scores"
    said = call(*words, "--out", out, "--against", root / "bundle")
    assert said.code == 0, said.err
    assert "30:20:50 by subject" in said.out
    for text in ("expression, videos by sum", "What is taken for what", "by video", "Differences"):
        assert text in said.out, text
    assert max(len(line.rstrip()) for line in said.out.splitlines() if "/" not in line) <= 80
    names = {path.name for path in out.iterdir()}
    assert names == {"evaluation.json", "evaluation.md", "confusion-expression.png"}
    assert "![confusion-expression](confusion-expression.png)" in (out / "evaluation.md").read_text(
        "utf-8"
    )
    found = json.loads(call(*words, "--side", "validation", "--json").out)
    assert found["scores"]["side"] == "validation"
    assert found["scores"]["videos"] == 3


def test_a_bundle_is_evaluated_whole_or_by_protocol(call: Call, root: Path) -> None:
    words = ["evaluate", root / "bundle", "cache", root / "tiny/cache", "--json"]
    whole = json.loads(call(*words, "--whole").out)
    assert (whole["scores"]["side"], whole["scores"]["frames"]) == ("whole", 144)
    flags = "--protocol holdout --validation-share 0.2 --test-share 0.5"
    side = json.loads(call(*words, *flags.split()).out)
    run = json.loads(call("evaluate", root / "one", *words[2:]).out)
    assert side["scores"]["split"] == run["scores"]["split"]
    accuracy = [found["scores"]["heads"]["expression"]["accuracy"] for found in (side, run)]
    assert accuracy[0] == accuracy[1]


def test_a_chain_is_fitted_kept_and_measured(call: Call, root: Path, tmp_path: Path) -> None:
    file = tmp_path / "chain.json"
    said = call("evaluate", root / "one", "cache", root / "tiny/cache", "--save-chain", file)
    assert said.code == 0, said.err
    assert "post-processing fitted on compact, best.ckpt; validation side, 3 videos" in " ".join(
        said.out.split()
    )
    assert "CCC, measured" in said.out
    assert AffectPostProcessing.load(file).valence is not None
    assert f"wrote {file}" in said.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            "default ferplus . --whole",
            2,
            "expected --protocol, --fold, --whole and their like with",
        ),
        ("default ferplus . --post-process --unit video", 2, "--unit, --post-process with a crop"),
        ("default cache . --robustness", 2, "--robustness with a bundle on FER+"),
        ("default cache {root}/none", 1, "there is nothing"),
        ("{root}/one cache {root}/tiny/cache --fold 2", 2, "its own split holds"),
        ("{root}/one cache {root}/tiny/cache --side validation --save-chain x", 2, "validation"),
        ("{root}/tiny cache {root}/tiny/cache", 1, "has neither"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(
    call: Call, root: Path, words: str, code: int, message: str
) -> None:
    said = call("evaluate", *words.format(root=root).split())
    assert (said.code, said.out, len(said.error_lines)) == (code, "", 1)
    assert message in said.err


# --- runs on vectors -----------------------------------------------------------------------------


def test_runs_on_vectors_are_compared_with_each_other_pictures_and_bundles(
    call: Call, on_vectors: Path
) -> None:
    names = [on_vectors / name for name in ("gru", "tcn", "one", "bundle")]
    by_itself = json.loads(call("compare", *names, "--json").out)
    assert [model["kind"] for model in by_itself["models"]] == ["run", "run", "run", "bundle"]
    assert (by_itself["frames"], by_itself["videos"]) == (96, 12)
    assert len({model["split"] for model in by_itself["models"]}) == 1
    # The bundle is the run on pictures.
    expression = [model["scores"]["heads"]["expression"] for model in by_itself["models"]]
    assert expression[2] == expression[3]
    # Either form of the frames will do: each takes its own.
    for data in ("tiny/cache", "vectors"):
        said = call("compare", *names[:3], "--data", on_vectors / data, "--json")
        assert said.code == 0, said.err
        scores = [model["scores"] for model in json.loads(said.out)["models"]]
        assert scores == [model["scores"] for model in by_itself["models"][:3]]
    assert call("compare", *names, "--data", on_vectors / "tiny/cache").code == 0


def test_runs_on_vectors_do_without_the_pictures_and_bundles_do_not(
    call: Call, on_vectors: Path
) -> None:
    crops, away = on_vectors / "tiny/cache", on_vectors / "tiny/away"
    crops.rename(away)
    try:
        assert call("compare", on_vectors / "gru", on_vectors / "tcn").code == 0
        said = call("compare", on_vectors / "gru", on_vectors / "bundle")
        moved = call("compare", on_vectors / "gru", on_vectors / "bundle", "--data", away)
    finally:
        away.rename(crops)
    assert (said.code, len(said.error_lines)) == (1, 1)
    assert "expected the crop cache that the vectors in" in said.err
    assert moved.code == 0, moved.err


def test_a_run_on_vectors_is_evaluated(call: Call, on_vectors: Path) -> None:
    words = ["evaluate", on_vectors / "gru", "cache", on_vectors / "vectors"]
    found = json.loads(call(*words, "--against", on_vectors / "one", "--json").out)
    assert (found["scores"]["side"], found["scores"]["videos"]) == ("test", 12)
    assert set(found["against"]["differences"][0]["heads"]) == {"expression", "valence_arousal"}
    said = call(*words, "--post-process")
    assert said.code == 0, said.err
    assert "post-processing fitted on vectors-gru, best.ckpt; validation side" in " ".join(
        said.out.split()
    )


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("gru cache strange", 2, "expected vectors of the network that the run learned from"),
        ("default cache vectors --whole", 2, "give the crop cache that they were made of"),
        ("gru cache vectors --whole", 2, "its own split holds: holdout, fold 1"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(
    call: Call, on_vectors: Path, words: str, code: int, message: str
) -> None:
    given = [on_vectors / w if (on_vectors / w).exists() else w for w in words.split()]
    said = call("evaluate", *given)
    assert (said.code, said.out, len(said.error_lines)) == (code, "", 1)
    assert message in said.err


def test_other_data_asks_a_run_on_vectors_for_vectors(
    call: Call, on_vectors: Path, tmp_path: Path
) -> None:
    other = write_cache(tmp_path, clips=6, subjects=2, frames=6)
    said = call("evaluate", on_vectors / "gru", "cache", other, "--whole")
    assert (said.code, len(said.error_lines)) == (2, 1)
    assert "holds pictures; make vectors of them" in said.err
