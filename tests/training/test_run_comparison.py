"""Models side by side: which frames and classes are compared, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotrace.errors import UsageError
from emotrace.metrics import accuracy
from emotrace.models.architecture import Head, HeadKind
from emotrace.training.model_predictions import ModelPredictions
from emotrace.training.run_comparison import compare_models
from emotrace.training.score_files import write_comparison
from emotrace.training.score_tables import comparison_tables
from emotrace.training.targets import HeadTargets
from emotrace.training.zoo.predictions import RowPlaces, SetPredictions, cut_predictions
from tests.training.test_zoo_evaluation import made

FRAMES = 12


def placed(said: SetPredictions) -> SetPredictions:
    count = len(said.rows)
    return replace(
        said,
        places=RowPlaces(
            frame=np.arange(count) % FRAMES, face=np.ones(count, int), seconds=np.zeros(count)
        ),
    )


def model(name: str, said: SetPredictions, **changes: Any) -> ModelPredictions:
    values: dict[str, Any] = {
        "name": name,
        "is_run": True,
        "predictions": placed(said) if said.places is None else said,
        "datasets": ("tiny",),
        "fingerprint": "one",
        "parameters": 1234,
        "epochs": 7,
    }
    return ModelPredictions(**(values | changes))


def right_share(said: SetPredictions) -> float:
    truth = said.targets["expression"].argmax(axis=1)
    return accuracy(truth, said.outputs["expression"].argmax(axis=1))


def test_each_is_set_against_the_first_or_each_against_each() -> None:
    models = [model(name, made(seed)) for name, seed in (("x", 0), ("y", 1), ("z", 2))]
    found = compare_models(models, repeats=50)
    assert [(d["first"], d["second"]) for d in found["differences"]] == [("y", "x"), ("z", "x")]
    first = found["differences"][0]["heads"]["expression"]["accuracy"]
    gained = right_share(models[1].predictions) - right_share(models[0].predictions)
    assert first["difference"] == pytest.approx(gained, abs=1e-6)
    assert found["differences"][0]["heads"]["expression"]["mcnemar_over_videos"]["n"] == 10
    every = compare_models(models, all_pairs=True, repeats=50)
    pairs = [(d["first"], d["second"]) for d in every["differences"]]
    assert pairs == [("y", "x"), ("z", "x"), ("z", "y")]
    assert any("3 pairs are tested" in notice for notice in every["notices"])


def test_only_frames_that_all_were_measured_on_are_compared() -> None:
    first, second = made(0), made(1)
    part = cut_predictions(second, np.arange(36, 120))
    found = compare_models(
        [model("x", first), model("y", replace(placed(part), split="another; not known"))],
        repeats=50,
    )
    assert (found["frames"], found["videos"]) == (84, 7)
    shared = cut_predictions(first, np.arange(36, 120))
    scores = found["models"][0]["scores"]["heads"]["expression"]
    assert scores["accuracy"] == pytest.approx(right_share(shared), abs=1e-6)
    said = " ".join(found["notices"])
    assert "different frames (x 120, y 84): only the 84 that all share" in said
    assert "the splits differ" in said
    assert "NOT PROVEN" in said
    apart = [model("x", cut_predictions(first, np.arange(24))), model("y", part)]
    with pytest.raises(UsageError, match=r"got none in common \(x 24, y 84 frames\)"):
        compare_models(apart)


def test_frames_of_another_cache_of_the_same_data_are_found_by_name() -> None:
    first, second = placed(made(0)), placed(made(1))
    # The other cache holds the videos in another order, so that its rows have other numbers.
    order = np.arange(120).reshape(10, FRAMES)[::-1].reshape(-1)
    moved = replace(cut_predictions(second, order), rows=np.arange(120) + 500)
    same = compare_models([model("x", first), model("y", second)], repeats=50)
    found = compare_models([model("x", first), model("y", moved, fingerprint="two")], repeats=50)
    assert found["frames"] == 120
    assert found["differences"] == same["differences"]
    other = model("y", moved, fingerprint="two", datasets=("another",))
    with pytest.raises(UsageError, match="on the same data set; got x: tiny; y: another"):
        compare_models([model("x", first), other])
    doubled = replace(moved, videos=np.full(120, "v00"))
    with pytest.raises(UsageError, match="each frame once; y has several"):
        compare_models([model("x", first), model("y", doubled, fingerprint="two")])


def with_a_fourth_class(said: SetPredictions) -> SetPredictions:
    """The same, of a model that also knows `d`, is sure of it, and orders classes otherwise."""
    wide = HeadTargets(
        head=Head(name="expression", kind=HeadKind.CATEGORICAL, size=4), names=("d", "c", "b", "a")
    )
    outputs, truth = said.outputs["expression"], said.targets["expression"]
    return replace(
        said,
        heads=(wide, *said.heads[1:]),
        outputs={
            **said.outputs,
            "expression": np.column_stack([np.full(len(outputs), 9.0), outputs[:, ::-1]]),
        },
        targets={
            **said.targets,
            "expression": np.column_stack([np.zeros(len(truth)), truth[:, ::-1]]).astype(
                np.float32
            ),
        },
    )


def test_who_knows_more_classes_chooses_among_those_that_all_know() -> None:
    first, second = made(0), made(1)
    plain = compare_models([model("x", first), model("y", second)], repeats=50)
    wide = compare_models([model("x", first), model("y", with_a_fourth_class(second))], repeats=50)
    assert wide["differences"] == plain["differences"]
    assert any("y knows 4 classes and chooses here among 3: a, b, c" in n for n in wide["notices"])
    stranger = replace(
        second, heads=(replace(second.heads[0], names=("a", "b", "e")), *second.heads[1:])
    )
    with pytest.raises(UsageError, match="one knows all classes of the other"):
        compare_models([model("x", first), model("y", stranger)])


def test_models_that_predict_different_things_stand_side_by_side_untested() -> None:
    first, second = made(0), made(1)
    classes = replace(first, heads=first.heads[:1])
    values = replace(second, heads=second.heads[1:2])
    found = compare_models([model("x", classes), model("y", values)], repeats=20)
    assert found["differences"][0]["heads"] == {}
    assert list(found["models"][1]["scores"]["heads"]) == ["valence_arousal"]


def test_one_person_or_one_model_gives_no_differences() -> None:
    video = [cut_predictions(placed(made(seed)), np.arange(FRAMES)) for seed in (0, 1)]
    found = compare_models([model("x", video[0]), model("y", video[1])], repeats=20)
    assert found["differences"] == []
    assert any("one video only" in notice for notice in found["notices"])
    with pytest.raises(UsageError, match="at least two models to compare; got 1"):
        compare_models([model("x", made(0))])
    with pytest.raises(UsageError, match="expected different models to compare; got x, x"):
        compare_models([model("x", made(0)), model("x", made(1))])


def test_tables_name_models_by_letters_and_hold_the_numbers(tmp_path: Path) -> None:
    found = compare_models([model("runs/x", made(0)), model("runs/y", made(1))], repeats=50)
    legend, *tables = comparison_tables(found)
    assert legend.rows[0] == ("A", "runs/x", "made 0", "7", "1,234")
    titles = [table.title for table in tables]
    assert titles[0] == "expression"
    assert {"expression, videos by sum", "valence", "arousal", "Differences"} <= set(titles)
    accuracy_of_x = found["models"][0]["scores"]["heads"]["expression"]["accuracy"]
    assert tables[0].rows[0][:2] == ("A", "120")
    assert tables[0].rows[0][2].startswith(f"{accuracy_of_x:.3f} (")
    rows = {(row[1], row[2]): row for row in tables[-1].rows}
    difference = found["differences"][0]["heads"]["valence_arousal"]["valence"]["ccc"]
    assert rows["valence", "CCC"][0] == "B - A"
    assert rows["valence", "CCC"][3] == f"{difference['difference']:+.3f}"
    assert rows["expression", "McNemar"][4] == "n = 10"
    page, numbers = write_comparison(found, tmp_path / "out")
    text = page.read_text()
    assert "| A | runs/x | made 0 | 7 | 1,234 |" in text
    assert numbers.name == "comparison.json"
