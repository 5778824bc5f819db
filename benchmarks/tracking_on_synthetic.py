"""Score detectors and the tracker on synthetic scenes, in which who is where is known.

    python benchmarks/tracking_on_synthetic.py --scenes 6 --save benchmarks/results

Each scene has two or three people who walk through the picture and hide one another. Faces of which
less than half shows need not be found. Prints a row per detector and setting: recall and precision
of the boxes, identity switches, IDF1 (see `emotrace.faces.scoring`). Drawings are not recordings:
the table compares settings with one another and says little of absolute rates on real faces.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from emotrace.errors import DownloadError
from emotrace.faces import Detector, FaceFollower, make_detector
from emotrace.faces.crop import canonical_square
from emotrace.faces.scoring import TrackingScores, score_tracking
from emotrace.synth import SceneSettings, SynthFrame, make_scene
from emotrace.timeline import Detection  # noqa: TC001

Box = tuple[float, float, float, float]
SETTINGS = (
    {"search_every": 1, "detect_every": 1},
    {"search_every": 5, "detect_every": 1},
    {"search_every": 1, "detect_every": 3},
    {"search_every": 1, "detect_every": 5},
)
LEAST_VISIBLE = 0.5


def square_box(detection: Detection, detector: Detector) -> Box:
    """The canonical square of a detection: the same for every detector."""
    square = canonical_square(detection, detector.canonical)
    half = square.side_px / 2
    return (square.center_x_px - half, square.center_y_px - half, 2 * half, 2 * half)


def truth_square(box: Box, detector_free_scale: float) -> Box:
    """A square about a drawn face's box, of its size times a scale."""
    x, y, w, h = box
    side = float(np.sqrt(w * h)) * detector_free_scale
    return (x + w / 2 - side / 2, y + h / 2 - side / 2, side, side)


def follow(frames: list[SynthFrame], detector: Detector, settings: dict[str, int]) -> list[Any]:
    """Run detector and tracker as the pipeline does; boxes by id for each frame."""
    follower = FaceFollower(detector, **settings)
    boxes = []
    for frame in frames:
        faces, _ = follower.look(
            frame.image_rgb, frame_index=frame.index, timestamp_seconds=frame.timestamp_seconds
        )
        boxes.append({face.face_id: square_box(face.detection, detector) for face in faces})
    return boxes


def add(one: TrackingScores | None, other: TrackingScores) -> TrackingScores:
    """Sum the counts; IDF1 is averaged by the caller."""
    if one is None:
        return other
    return replace(
        one,
        faces=one.faces + other.faces,
        found=one.found + other.found,
        false_boxes=one.false_boxes + other.false_boxes,
        identity_switches=one.identity_switches + other.identity_switches,
    )


def main() -> None:
    """Draw the scenes once, then score every detector and setting on them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--detectors", nargs="+", default=["yunet", "haar"])
    parser.add_argument("--save", type=Path, default=None, help="folder for the numbers")
    options = parser.parse_args()
    scenes = []
    for seed in range(options.scenes):
        people = tuple(range(3 * seed + 1, 3 * seed + 3 + seed % 2))
        settings = SceneSettings(
            clip_id=f"scene{seed}",
            subjects=people,
            emotions=(None,) * len(people),
            frame_count=options.frames,
            seed=seed,
        )
        scenes.append(list(make_scene(settings).frames()))
    rows = []
    print(
        f"{'detector':9}{'search':>7}{'detect':>7}{'recall':>8}{'precis.':>8}{'switch':>7}{'IDF1':>7}"
    )
    for name in options.detectors:
        try:
            detector = make_detector(name)
        except DownloadError as error:
            print(f"{name}: {error}")
            continue
        for settings in SETTINGS:
            if name != "yunet" and settings["search_every"] > 1:
                continue  # the cascades always search the whole picture
            total, idf1 = None, []
            for frames in scenes:
                tracked = follow(frames, detector, settings)
                sides = [
                    {
                        f.face_id: truth_square(f.box_xywh_px, 1.1)
                        for f in frame.faces
                        if (f.visible_share >= LEAST_VISIBLE) == is_seen
                    }
                    for is_seen in (True, False)
                    for frame in frames
                ]
                count = len(frames)
                scores = score_tracking(sides[:count], tracked, may_be_missed=sides[count:])
                total = add(total, scores)
                idf1.append(scores.idf1)
            if total is None:
                continue
            row = {
                "detector": name,
                **settings,
                "faces": total.faces,
                "recall": round(total.recall, 4),
                "precision": round(total.precision, 4),
                "identity_switches": total.identity_switches,
                "idf1_mean": round(float(np.mean(idf1)), 4),
            }
            rows.append(row)
            print(
                f"{name:9}{settings['search_every']:7}{settings['detect_every']:7}"
                f"{total.recall:8.3f}{total.precision:8.3f}{total.identity_switches:7}"
                f"{float(np.mean(idf1)):7.3f}",
                flush=True,
            )
    record = {"scenes": options.scenes, "frames": options.frames, "rows": rows}
    if options.save is not None:
        options.save.mkdir(parents=True, exist_ok=True)
        path = options.save / "tracking_on_synthetic.json"
        path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
