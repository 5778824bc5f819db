"""What taking each face's resting expression out does: on drawn faces, and on real clips.

    EMOTRACE_HOME=detector_files python benchmarks/neutral_baseline.py clips_folder --work scratch

**Drawn faces.** People of several identities who rest and act by script (`scripted_faces`), 2 to 3
seconds of each in turn, one expression a clip. How a face at rest is read differs from person to
person. Each clip is labelled raw, with a baseline from the first 2 s (in which the script has the
face at rest), and with one that emotrace finds by itself. Reported: how much of the rest is called
neutral, how much of each act is called by its name or, as the model misnames many drawings, is
called anything but neutral; label flips; how many faces rest as something else than neutral.

**Harm.** The same drawings cut down to their acts: a person who never rests. What is then lost is
what the method cannot tell from a resting face.

**Clips.** The stretches of `known_clips`: with seconds of rest stated where the README gives some,
and found by itself (faces of 10 s or more only).

Analyses are kept in the work folder: a second run on the same bundle takes seconds.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from bench_machine import save_results
from emotrace import EMOTIONS, AnalysisSettings, Timeline, analyze_inputs, load_bundle
from emotrace.analysis.baseline import (
    NEUTRAL,
    BaselineSettings,
    add_adjusted_columns,
    adjusted_tracks,
    estimate_baselines,
)
from emotrace.analysis.segments import SegmentSettings
from emotrace.synth import write_video
from known_clips import KNOWN
from scripted_faces import Act, make_scripted_clip

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from emotrace import Bundle
    from emotrace.analysis.tracks import FaceTrack

REST_SECONDS = 2.5
ACT_SECONDS = 2.0
ACTS = 3
STATED_SECONDS = (0.0, 2.0)
EDGE_SECONDS = 0.3
REST_OF_CLIP = {
    "single_face.mp4": (0.0, 0.4),
    "face_noface.mov": (0.0, 0.4),
    "noface_face.mov": (3.945, 4.345),
}
"""Seconds at rest that the clips' README gives."""
WAYS: dict[str, BaselineSettings | None] = {
    "raw": None,
    "stated": BaselineSettings(reference_seconds=STATED_SECONDS),
    "found": BaselineSettings(),
}


def script_of(emotion: str) -> list[Act]:
    """Rest and act in turn."""
    step = REST_SECONDS + ACT_SECONDS
    return [
        Act(
            emotion=emotion,
            start_seconds=REST_SECONDS + number * step,
            duration_seconds=ACT_SECONDS,
            peak=1.0,
        )
        for number in range(ACTS)
    ]


def draw_clips(folder: Path, subjects: Sequence[int], emotions: Sequence[str]) -> dict[str, str]:
    """Draw what is not there yet; return each clip's expression."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = {}
    for number, subject in enumerate(subjects):
        emotion = emotions[number % len(emotions)]
        clip_id = f"b{subject:02d}_{emotion}"
        clips[clip_id] = emotion
        path = folder / f"{clip_id}.mp4"
        if not path.is_file():
            seconds = REST_SECONDS + ACTS * (REST_SECONDS + ACT_SECONDS)
            clip = make_scripted_clip(clip_id, subject, script_of(emotion), seconds=seconds)
            write_video(clip, path)
    return clips


def analyse(paths: Sequence[Path], folder: Path, bundle: Bundle) -> dict[str, Timeline]:
    """Analyse what is not there yet; return the timelines by file name."""
    settings = AnalysisSettings(threads=1, segmentation=SegmentSettings(smoothing=None))
    report = analyze_inputs(list(paths), folder, bundle=bundle, settings=settings)
    for outcome in report.outcomes:
        if outcome.folder is None:
            print(f"{outcome.path.name}: {outcome.error}")
    return {o.path.name: Timeline.load(o.folder) for o in report.outcomes if o.folder}


def main_track(table: pa.Table, settings: BaselineSettings | None) -> FaceTrack | None:
    """The longest track, adjusted."""
    if settings is not None:
        table = add_adjusted_columns(table, estimate_baselines(table, settings))
    return max(adjusted_tracks(table), key=lambda track: len(track.rows), default=None)


@dataclass(slots=True, kw_only=True)
class Tally:
    """Sums over clips."""

    rest_neutral: list[float]
    rests_as_other: list[bool]
    act_named: list[float]
    act_not_neutral: list[float]
    flips: float = 0.0
    seconds: float = 0.0

    def row(self, name: str) -> dict[str, Any]:
        """What is reported."""
        return {
            "way": name,
            "rest_called_neutral": float(np.mean(self.rest_neutral)),
            "faces_resting_as_other": int(np.sum(self.rests_as_other)),
            "act_named": float(np.mean(self.act_named)),
            "act_called_not_neutral": float(np.mean(self.act_not_neutral)),
            "flips_per_minute": 60 * self.flips / self.seconds,
        }


def score_drawn(
    clips: dict[str, str], timelines: dict[str, Timeline], settings: BaselineSettings | None
) -> Tally:
    """Score one way on all drawn clips."""
    tally = Tally(rest_neutral=[], rests_as_other=[], act_named=[], act_not_neutral=[])
    for name, emotion in clips.items():
        track = main_track(timelines[f"{name}.mp4"].table, settings)
        if track is None:
            continue
        labels = track.probabilities.argmax(axis=1)
        times = track.start_seconds
        acts = script_of(emotion)
        in_act, at_rest = masks(times, acts)
        rest = labels[at_rest] == NEUTRAL
        tally.rest_neutral.append(float(rest.mean()))
        counts = np.bincount(labels[at_rest], minlength=len(EMOTIONS))
        tally.rests_as_other.append(bool(counts.argmax() != NEUTRAL))
        tally.act_named.append(float((labels[in_act] == EMOTIONS.index(emotion)).mean()))
        tally.act_not_neutral.append(float((labels[in_act] != NEUTRAL).mean()))
        tally.flips += int((np.diff(labels) != 0).sum())
        tally.seconds += float(track.duration_seconds.sum())
    return tally


def masks(times: Any, acts: Sequence[Act]) -> tuple[Any, Any]:
    """Which frames show the act, and which are at rest; neither about the changes."""
    in_act = np.any(
        [
            (times > act.start_seconds + EDGE_SECONDS) & (times < act.end_seconds - EDGE_SECONDS)
            for act in acts
        ],
        axis=0,
    )
    at_rest = np.all(
        [
            (times < act.start_seconds - EDGE_SECONDS) | (times > act.end_seconds + EDGE_SECONDS)
            for act in acts
        ],
        axis=0,
    )
    return in_act, at_rest


def score_harm(clips: dict[str, str], timelines: dict[str, Timeline]) -> dict[str, float]:
    """How much of the acts is called neutral where the face never rests, before and after."""
    before, after = [], []
    settings = replace(BaselineSettings(), min_face_seconds=0.0)
    for name, emotion in clips.items():
        table = timelines[f"{name}.mp4"].table
        in_act, _ = masks(np.asarray(table["timestamp"].to_numpy()), script_of(emotion))
        kept = table.take(np.flatnonzero(in_act))
        for values, way in ((before, None), (after, settings)):
            track = main_track(kept, way)
            if track is not None:
                values.append(float((track.probabilities.argmax(axis=1) != NEUTRAL).mean()))
    return {"not_neutral_raw": float(np.mean(before)), "not_neutral_found": float(np.mean(after))}


def score_clips(timelines: dict[str, Timeline]) -> list[dict[str, Any]]:
    """The known stretches: mean probability of the known expression, frames named so, flips."""
    rows = []
    for known in KNOWN:
        if known.clip not in timelines:
            continue
        table = timelines[known.clip].table
        stated = REST_OF_CLIP.get(known.clip)
        ways: dict[str, BaselineSettings | None] = {"raw": None, "found": BaselineSettings()}
        if stated is not None:
            ways["stated"] = BaselineSettings(reference_seconds=stated)
        for way, settings in ways.items():
            track = main_track(table, settings)
            if track is None:
                continue
            labels = track.probabilities.argmax(axis=1)
            inside = (track.start_seconds >= known.start_seconds) & (
                track.start_seconds < known.end_seconds
            )
            column = EMOTIONS.index(known.emotion)
            rows.append(
                {
                    "clip": known.clip,
                    "known": known.emotion,
                    "way": way,
                    "mean_probability": float(track.probabilities[inside, column].mean()),
                    "named": float((labels[inside] == column).mean()),
                    "flips_per_minute": float(
                        60 * (np.diff(labels) != 0).sum() / track.duration_seconds.sum()
                    ),
                }
            )
    return rows


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clips", type=Path, help="a folder of video clips")
    parser.add_argument("--work", type=Path, required=True, help="where analyses are kept")
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--subjects", type=int, default=24)
    parser.add_argument("--save", type=Path, default=None, help="folder for the numbers")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    bundle = load_bundle(options.bundle)
    analyses = options.work / bundle.hash[:8]
    emotions = [name for name in EMOTIONS if name != "neutral"]
    # Other people than those on whom the smoothing is chosen.
    clips = draw_clips(options.work / "resting", range(101, 101 + options.subjects), emotions)
    drawn = analyse(
        [options.work / "resting" / f"{name}.mp4" for name in clips], analyses / "resting", bundle
    )
    rows = [score_drawn(clips, drawn, settings).row(name) for name, settings in WAYS.items()]
    print(f"{len(clips)} drawn people, {ACTS} acts each")
    for row in rows:
        print(
            f"{row['way']:8} rest called neutral {row['rest_called_neutral']:6.1%}, "
            f"faces that rest as something else {row['faces_resting_as_other']:3}; "
            f"acts named {row['act_named']:6.1%}, "
            f"called not neutral {row['act_called_not_neutral']:6.1%}; "
            f"flips/min {row['flips_per_minute']:6.1f}"
        )
    harm = score_harm(clips, drawn)
    print(
        "never at rest: frames called not neutral "
        f"{harm['not_neutral_raw']:.1%} raw, {harm['not_neutral_found']:.1%} with a found baseline"
    )
    names = sorted({known.clip for known in KNOWN})
    known = score_clips(
        analyse([options.clips / name for name in names], analyses / "clips", bundle)
    )
    for row in known:
        print(
            f"{row['clip']:28}{row['known']:12}{row['way']:8} mean probability "
            f"{row['mean_probability']:.3f}, frames named {row['named']:6.1%}, "
            f"flips/min {row['flips_per_minute']:5.1f}"
        )
    if options.save is not None:
        save_results(
            options.save,
            "neutral-baseline",
            {"bundle": bundle.describe(), "drawn": rows, "never_at_rest": harm, "clips": known},
        )


if __name__ == "__main__":
    main()
