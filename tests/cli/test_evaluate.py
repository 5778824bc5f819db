from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emotrace.cli.app import main
from emotrace.labels import EMOTIONS


def scores(accuracy: float) -> dict[str, Any]:
    row = dict.fromkeys(EMOTIONS, 1)
    return {
        "n": 8,
        "accuracy": accuracy,
        "accuracy_interval_95": [accuracy - 0.1, accuracy + 0.1],
        "unweighted_average_recall": 0.5,
        "macro_f1": 0.4,
        "calibration_error": 0.02,
        "recall": dict.fromkeys(EMOTIONS, 0.125),
        "confusion_matrix": dict.fromkeys(EMOTIONS, row),
        "without_duplicates": {"n": 7, "accuracy": 0.25, "unweighted_average_recall": 0.3},
    }


def stand_in(*_: object, **__: object) -> dict[str, Any]:
    scored = {name: scores(0.75) for name in ("majority", "argmax", "fer2013")}
    of_prior = {**scored, "kl_divergence_to_votes": 0.3}
    priors = {"training": of_prior, "default": of_prior, "uniform": of_prior}
    return {"split": "test", "priors": priors}


def test_a_wrong_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "default", "ferplus", str(tmp_path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "ferplus.parquet" in lines[0]


def test_an_unknown_data_set_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "default", "nonesuch", "."]) == 2
    assert "ferplus" in capsys.readouterr().err


def test_the_tables_show_what_was_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotrace.training.evaluation.evaluate_ferplus", stand_in)
    out = tmp_path / "scores"
    assert main(["evaluate", "default", "ferplus", str(tmp_path), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "75.0%" in shown
    assert "65.0-85.0" in shown
    assert "n = 7" in shown
    assert json.loads((out / "evaluation.json").read_text())["split"] == "test"


def test_json_is_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotrace.training.evaluation.evaluate_ferplus", stand_in)
    assert main(["evaluate", "default", "ferplus", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["priors"]["uniform"]["majority"]["n"] == 8
