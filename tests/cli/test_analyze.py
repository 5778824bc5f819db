"""`emotrace analyze` around a stubbed library call: flags in, text and exit codes out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.analysis import batch
from emotrace.analysis.baseline import BaselineSettings
from emotrace.analysis.one_input import OutputChoice
from emotrace.analysis.outcomes import BatchReport, InputOutcome
from emotrace.analysis.pipeline import Progress
from emotrace.analysis.post_processing import AffectPostProcessing, PostProcessing
from emotrace.analysis.segments import SegmentSettings
from emotrace.analysis.settings import AnalysisSettings
from emotrace.analysis.smoothing import SmoothingSettings
from emotrace.bundle import load_bundle
from emotrace.cli import analyze
from emotrace.cli.analyze_display import summary_lines, vote_lines
from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS
from tests.cli.conftest import Call, call_process

SHARES = dict.fromkeys(EMOTIONS, 0.0) | {"happiness": 0.519, "sadness": 0.476, "fear": 0.004}


def face(face_id: int, seconds: float, **more: Any) -> dict[str, Any]:
    return {
        "face_id": face_id,
        "first_seen_seconds": 0.0,
        "last_seen_seconds": seconds,
        "seconds_present": seconds,
        "emotion_time_shares": SHARES,
        **more,
    }


def summary(
    *faces: dict[str, Any],
    notices: tuple[str, ...] = (),
    run_notices: tuple[str, ...] = (),
    **facts: Any,
) -> dict[str, Any]:
    notes = list(facts.pop("notes", ()))
    return {
        "input": {"duration_seconds": 19.6, "is_still_image": False, "notes": notes, **facts},
        "counts": {"frames": 472, "faces": len(faces), "shot_cuts": 0},
        "faces": list(faces),
        "notices": [*notes, *run_notices, *notices],
        "run_notices": list(run_notices),
    }


class Library:
    """Stands in for `analyze_inputs`: keeps what it was called with, plays back outcomes."""

    def __init__(self, *outcomes: InputOutcome, stop_after: int | None = None) -> None:
        self.outcomes = outcomes
        self.stop_after = stop_after
        self.called: dict[str, Any] = {}

    def __call__(self, inputs: object, out_folder: object, **options: Any) -> BatchReport:
        self.called = {"inputs": inputs, "out_folder": out_folder, **options}
        observer = options["observer"]
        for position, outcome in enumerate(self.outcomes):
            if position == self.stop_after:
                raise KeyboardInterrupt
            observer.on_start(outcome.path, position, len(self.outcomes))
            observer.on_progress(
                outcome.path,
                Progress(
                    frames_done=3, frames_expected=9, frames_per_second=30.0, seconds_left=0.2
                ),
            )
            observer.on_done(outcome)
        return BatchReport(outcomes=self.outcomes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "out" / "a"
    folder.mkdir(parents=True)
    (folder / "timeline.parquet").touch()
    return folder


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Library:
    library = Library(
        InputOutcome(
            path=Path("a.mp4"),
            status="done",
            folder=folder,
            summary=summary(face(1, 19.6, vote_by_summed_probabilities="sadness")),
        )
    )
    monkeypatch.setattr(batch, "analyze_inputs", library)
    return library


def test_without_flags_the_librarys_own_defaults_hold(call: Call, library: Library) -> None:
    assert call("analyze", "a.mp4", "b.mp4").code == 0
    called = library.called
    assert called["inputs"] == ["a.mp4", "b.mp4"]
    assert called["out_folder"] == Path("emotrace-out")
    assert (called["bundle"], called["prior"]) == ("default", "default")
    assert called["settings"] == AnalysisSettings()
    assert called["outputs"] == OutputChoice()
    assert called["overwrite"] is False


def test_every_flag_reaches_the_library(call: Call, library: Library, tmp_path: Path) -> None:
    words = (
        f"a.mp4 -o {tmp_path}/x --detector haar --detect-every 5 --bundle my --prior uniform "
        "--csv --subtitles --smoothing 0.25 --batch-size 4 --threads 2 --overwrite"
    )
    assert call("analyze", *words.split()).code == 0
    called = library.called
    assert called["out_folder"] == tmp_path / "x"
    assert (called["bundle"], called["prior"], called["overwrite"]) == ("my", "uniform", True)
    assert called["outputs"] == OutputChoice(csv=True, subtitles=True)
    assert called["settings"] == AnalysisSettings(
        detector="haar",
        detect_every=5,
        batch_size=4,
        threads=2,
        segmentation=SegmentSettings(smoothing=SmoothingSettings(window_seconds=0.25)),
    )


def test_all_asks_for_every_output(call: Call, library: Library) -> None:
    call("analyze", "a.mp4", "--all")
    assert library.called["outputs"] == OutputChoice(
        csv=True, video=True, report=True, subtitles=True, openface=True, pyfeat=True
    )


def test_keep_rejected_reaches_the_library(call: Call, library: Library) -> None:
    call("analyze", "a.mp4", "--keep-rejected")
    assert library.called["settings"] == AnalysisSettings(keep_rejected=True)


def test_no_smoothing_reaches_the_library(call: Call, library: Library) -> None:
    call("analyze", "a.mp4", "--no-smoothing")
    settings = library.called["settings"]
    assert settings.segmentation == replace(SegmentSettings(), smoothing=None)


@pytest.mark.parametrize(
    ("words", "baseline"),
    [
        ("", None),
        ("--neutral-baseline", BaselineSettings()),
        ("--neutral-from 0.5-4", BaselineSettings(reference_seconds=(0.5, 4.0))),
        ("--neutral-baseline --neutral-from 0-4", BaselineSettings(reference_seconds=(0, 4))),
    ],
)
def test_the_neutral_baseline_reaches_the_library(
    call: Call, library: Library, words: str, baseline: BaselineSettings | None
) -> None:
    call("analyze", "a.mp4", *words.split())
    assert library.called["settings"].baseline == baseline


def test_post_processing_gaps_and_votes_reach_library_and_screen(
    call: Call, library: Library, tmp_path: Path
) -> None:
    chain = AffectPostProcessing(valence=PostProcessing(rate_hz=25.0, bias=0.1))
    file = chain.save(tmp_path / "chain.json")
    words = ["analyze", "a.mp4", "--post-process", file, "--fill-gaps", "--vote", "sum"]
    said = call(*words)
    assert said.code == 0
    assert library.called["settings"] == AnalysisSettings(post_processing=chain)
    assert library.called["outputs"] == OutputChoice(filled=True)
    assert "  vote on the whole clip by summed probabilities: face 1 sadness" in said.out
    assert "vote on" not in call("analyze", "a.mp4").out
    file.write_text("{}")
    said = call(*words)
    assert (said.code, len(said.error_lines)) == (1, 1)
    assert f"{file}: expected an object with format" in said.err


def test_the_vote_lists_the_longest_seen_faces_first() -> None:
    votes = {"vote_by_maximum_probability": "fear", "vote_by_summed_probabilities": "anger"}
    few = summary(face(1, 1.0, **votes), face(2, 9.0, **votes))
    assert vote_lines(few, "maximum") == [
        "  vote on the whole clip by maximum probability: face 2 fear, face 1 fear"
    ]
    crowd = summary(*(face(at, 1.0, **votes) for at in range(1, 12)))
    assert vote_lines(crowd, "sum")[0].endswith("face 8 anger, ... (summary.json)")
    assert vote_lines(summary(), "sum") == []


@pytest.mark.parametrize("name", analyze.PRIOR_NAMES)
def test_every_prior_that_help_names_can_be_asked_of_the_default_bundle(
    name: str, call: Call, library: Library
) -> None:
    assert call("analyze", "a.mp4", "--prior", name).code == 0
    assert library.called["prior"] == name
    assert load_bundle(prior=name).prior_name == name


def test_help_states_the_true_default_of_smoothing(call: Call) -> None:
    window = SmoothingSettings().window_seconds
    assert f"probabilities stay raw. (default: {window})" in call("analyze", "--help").out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("--detect-every 0", "expected --detect-every of at least 1; got 0"),
        ("--detect-every -3", "--detect-every of at least 1; got -3"),
        ("--batch-size 0", "--batch-size of at least 1; got 0"),
        ("--threads -1", "--threads of at least 0; got -1"),
        ("--smoothing 0", "--no-smoothing turns it off"),
        ("--smoothing -1", "above 0 seconds; got -1"),
        ("--smoothing nan", "above 0 seconds; got nan"),
        ("--smoothing 1 --no-smoothing", "got both"),
        ("--neutral-from 5", "like 0-5; got '5'"),
        ("--neutral-from 5-2", "START before END; got 5 2"),
        ("--prior happy", "default, training, uniform"),
        ("--prior anger=0.5,joy=0.5", "got 'joy'"),
        ("--prior anger=1", "contempt, disgust, fear, happiness, neutral, sadness, surprise are"),
        ("--prior " + ",".join(f"{name}=0.5" for name in EMOTIONS), "they sum to 4"),
        ("--prior anger=0.5,anger=0.5", "anger twice"),
        ("--prior anger=lots", "got 'lots'"),
    ],
)
def test_values_that_cannot_work_are_one_line_and_code_2(
    call: Call, library: Library, words: str, hint: str
) -> None:
    said = call("analyze", "a.mp4", *words.split())
    assert said.code == 2
    assert said.out == ""
    assert len(said.error_lines) == 1
    assert hint in said.err
    assert library.called == {}


def test_prior_of_shares() -> None:
    text = ", ".join(f"{name} = 0.125" for name in EMOTIONS)
    assert analyze.parse_prior(text) == dict.fromkeys(EMOTIONS, 0.125)


@given(st.lists(st.floats(0.01, 1.0), min_size=8, max_size=8))
def test_prior_takes_shares_rounded_to_two_decimals(weights: list[float]) -> None:
    shares = [round(weight / sum(weights), 2) for weight in weights]
    text = ",".join(f"{name}={share}" for name, share in zip(EMOTIONS, shares, strict=True))
    if abs(sum(shares) - 1) > 0.01 + 1e-9:  # rounding alone can miss by up to 0.04
        with pytest.raises(UsageError, match="sum to 1"):
            analyze.parse_prior(text)
    else:
        assert analyze.parse_prior(text) == dict(zip(EMOTIONS, shares, strict=True))


def test_one_input_shows_its_summary_on_stdout_and_nothing_else(
    call: Call, library: Library, folder: Path
) -> None:
    said = call("analyze", "a.mp4")
    assert said.err == ""
    assert said.out.splitlines() == [
        "a.mp4: 19.6 s, 472 frames, 1 face",
        "  face  seen for   from      to  predicted expression, share of its time",
        "     1    19.6 s  0.0 s  19.6 s  happiness 52%, sadness 48%",
        f"  results in {folder}: timeline.parquet",
    ]
    assert "\x1b" not in said.out
    assert library.called["inputs"] == ["a.mp4"]


def test_json_is_all_that_stdout_gets(call: Call, library: Library) -> None:
    said = call("analyze", "a.mp4", "--json")
    value = json.loads(said.out)
    assert value["counts"] == {
        "inputs": 1,
        "done": 1,
        "skipped": 0,
        "damaged": 0,
        "failed": 0,
    }
    assert value["inputs"][0]["path"] == "a.mp4"
    assert library.called["overwrite"] is False


def test_quiet_shows_nothing(call: Call, library: Library) -> None:
    said = call("analyze", "a.mp4", "--quiet")
    assert (said.out, said.err) == ("", "")
    assert library.called["inputs"] == ["a.mp4"]


def test_several_inputs_end_with_counts_and_the_failures(
    call: Call, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    outcomes = (
        InputOutcome(
            path=Path("a.mp4"), status="done", folder=folder, summary=summary(), seconds=2.04
        ),
        InputOutcome(path=Path("b.mp4"), status="failed", error="expected a video; got b.mp4"),
        InputOutcome(path=Path("c.mp4"), status="failed", error="expected some room"),
        InputOutcome(
            path=Path("d.mp4"), status="skipped", was_there=True, folder=folder, summary=summary()
        ),
    )
    monkeypatch.setattr(batch, "analyze_inputs", Library(*outcomes))
    said = call("analyze", "x")
    assert said.code == 1
    assert said.out.splitlines()[-1] == (
        "4 inputs: 1 done, 1 skipped (done before; --overwrite does them again), 2 failed"
    )
    assert said.error_lines == [
        "[1/4] done: a.mp4 in 2.0 s",
        "[2/4] failed: b.mp4",
        "[3/4] failed: c.mp4",
        "[4/4] skipped: d.mp4",
        "error: expected a video; got b.mp4",
        "error: c.mp4: expected some room",
    ]


def test_a_notice_of_the_run_is_shown_once_but_those_about_an_input_always(
    call: Call, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    each = summary(
        notices=("face 1 is about 12 px wide",),
        run_notices=("no YuNet here",),
        notes=("the end is damaged",),
    )
    outcomes = [
        InputOutcome(path=Path(name), status="done", folder=folder, summary=each)
        for name in ("a.mp4", "b.mp4")
    ]
    monkeypatch.setattr(batch, "analyze_inputs", Library(*outcomes))
    out = call("analyze", "x").out
    assert out.count("note: no YuNet here") == 1
    assert out.count("note: the end is damaged") == 2
    assert out.count("note: face 1 is about 12 px wide") == 2


def test_a_changed_detector_is_said_however_quiet_the_rest_is(
    call: Call, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    each = summary(
        notices=("face 1 is about 12 px wide",),
        run_notices=("no YuNet here",),
        notes=("the end is damaged",),
    )
    outcomes = [
        InputOutcome(path=Path(name), status="done", folder=folder, summary=each)
        for name in ("a.mp4", "b.mp4")
    ]
    monkeypatch.setattr(batch, "analyze_inputs", Library(*outcomes))
    said = call("analyze", "x", "--quiet")
    assert (said.out, said.err) == ("", "note: no YuNet here\n")
    said = call("analyze", "x", "--json")
    assert json.loads(said.out)["inputs"][0]["notices"] == [
        "the end is damaged",
        "no YuNet here",
        "face 1 is about 12 px wide",
    ]


def test_only_files_of_ours_are_listed(call: Call, library: Library, folder: Path) -> None:
    for name in ("notes.txt", ".a.1.partial.csv", "report.html"):
        (folder / name).touch()
    said = call("analyze", "a.mp4")
    assert said.out.splitlines()[-1] == f"  results in {folder}: report.html, timeline.parquet"
    assert library.called["inputs"] == ["a.mp4"]


def test_a_damaged_input_is_shown_and_is_an_error(
    call: Call, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    outcome = InputOutcome(
        path=Path("a.mp4"),
        status="damaged",
        was_there=True,
        folder=folder,
        summary=summary(),
        error="expected 9 s of a.mp4; got 3 s",
    )
    whole = InputOutcome(path=Path("b.mp4"), status="done", folder=folder, summary=summary())
    monkeypatch.setattr(batch, "analyze_inputs", Library(outcome, whole))
    said = call("analyze", "x")
    assert said.code == 1
    assert said.out.startswith("a.mp4: 19.6 s, 472 frames, 0 faces (done before)\n")
    assert said.out.splitlines()[-1] == (
        "2 inputs: 1 done, 1 damaged (their end is missing), 0 failed"
    )
    assert said.error_lines[-1] == "error: expected 9 s of a.mp4; got 3 s"


def test_interruption_says_what_is_kept(
    call: Call, monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    outcomes = [
        InputOutcome(path=Path(name), status="done", folder=folder, summary=summary())
        for name in ("a.mp4", "b.mp4", "c.mp4")
    ]
    monkeypatch.setattr(batch, "analyze_inputs", Library(*outcomes, stop_after=2))
    said = call("analyze", "x", "-o", tmp_path / "kept")
    assert said.code == 130
    assert said.error_lines[-1] == (
        f"stopped: 2 of 3 inputs are finished and kept in {tmp_path / 'kept'}; "
        "the same command again does the rest"
    )


def test_faces_are_listed_by_time_seen_and_a_crowd_is_cut_short() -> None:
    faces = [face(number, float(number)) for number in range(1, 13)]
    lines = summary_lines(summary(*faces), Path("crowd.mp4"))
    assert lines[0].endswith("12 faces")
    assert [line.split()[0] for line in lines[2:-1]] == [str(n) for n in range(12, 4, -1)]
    assert lines[-1] == "  and 4 more faces, seen for 4.0 s or less: see summary.json"


def test_columns_line_up() -> None:
    faces = [face(1, 3725.0), face(10, 65.2), face(200, 0.3)]
    _, *table = summary_lines(summary(*faces), Path("a.mp4"))
    assert {line.index("  happiness") for line in table[1:]} == {table[0].index("  predicted")}
    assert "1:02:05" in table[1]
    assert "1:05" in table[2]


def test_a_picture_is_called_one() -> None:
    facts: dict[str, Any] = {"is_still_image": True, "width": 640, "height": 480}
    assert summary_lines(summary(face(1, 0.0), **facts), Path("p.jpg"))[0] == (
        "p.jpg: picture, 640 x 480, 1 face"
    )


def test_names_cannot_reach_the_terminal_as_commands() -> None:
    line = summary_lines(summary(), Path("\x1b]0;title\x07\n.mp4"))[0]
    assert line.isprintable()


def test_wrong_flag_in_a_process_of_its_own() -> None:
    said = call_process("analyze", "a.mp4", "--detectr", "haar")
    assert (said.code, said.out, len(said.error_lines)) == (2, "", 1)
