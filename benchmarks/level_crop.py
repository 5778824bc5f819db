"""Should crops be levelled by the eyes? Measured on photographs turned by known angles, and clips.

    python benchmarks/level_crop.py ferplus_folder clips_folder detector_files_folder

**Photographs.** FER+ validation pictures, enlarged into a larger frame whose edge pixels continue
the picture, turned about the middle by known angles, found by YuNet. Every way of cutting is tried
on the same detections: the share of faces whose most voted expression is named, with the bundle's
default prior, and the mean of the recalls. What a crop that is not levelled shows in its corners at
large angles is continued edge, not background: those figures are a little too low.

**Clips.** The mean probability of the known expression in the stretches of `known_clips`, and label
flips per minute, raw: levelling by eye points that tremble makes crops tremble.

One pass over all; a new bundle is measured by `--bundle FOLDER`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from bench_machine import save_results
from emotrace import EMOTIONS, Bundle, load_bundle
from emotrace.datasets.ferplus import argmax_labels, load_ferplus
from emotrace.faces import Detector, FaceFollower, extract_crop, make_detector
from emotrace.faces.crop import BoxMapping, CropGeometry, canonical_square, eye_line_degrees
from emotrace.video import VideoReader
from known_clips import KNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emotrace.timeline import Detection

ANGLES = (0, 10, 20, 30, 45)
ROLL_BINS = ((0, 3), (3, 6), (6, 10), (10, 15), (15, 20), (20, 30), (30, 60))
LEFT_ALONE_DEGREES = (5, 10, 15)
"""Levelling only what is tilted by more: put together from the two ways that are tried."""
RESAMPLES = 500
ENLARGEMENT = 2
BORDER_SHARE = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """One way to cut a face out."""

    name: str
    geometry: CropGeometry


def ways(geometry: CropGeometry) -> tuple[Cutting, ...]:
    """The ways to cut that are compared; all but the levelling is the bundle's own."""
    return (
        Cutting(name="none", geometry=replace(geometry, align="none")),
        Cutting(name="eyes", geometry=replace(geometry, align="eyes")),
    )


def turned(grey: NDArray[np.uint8], degrees: float) -> tuple[NDArray[np.uint8], float]:
    """Enlarge a picture, continue its edge, and turn it clockwise; return it and its side."""
    side = grey.shape[0] * ENLARGEMENT
    border = round(side * BORDER_SHARE)
    large = cv2.resize(grey, (side, side), interpolation=cv2.INTER_CUBIC)
    padded = cv2.copyMakeBorder(large, border, border, border, border, cv2.BORDER_REPLICATE)
    middle = padded.shape[0] / 2
    turn = cv2.getRotationMatrix2D((middle - 0.5, middle - 0.5), -degrees, 1.0)
    size = (padded.shape[1], padded.shape[0])
    result = cv2.warpAffine(
        padded, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.repeat(result[..., None], 3, axis=2), float(side)


def middle_face(found: Sequence[Detection], picture: NDArray[np.uint8], side: float) -> Any:
    """Return the best detection about the picture's middle, or None."""
    middle = picture.shape[0] / 2
    for item in found:
        square = canonical_square(item, BoxMapping())
        off = max(abs(square.center_x_px - middle), abs(square.center_y_px - middle))
        if off < side / 4 and 0.4 < square.side_px / side < 1.4:
            return item
    return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Photographs:
    """What each way of cutting said of each picture at each angle."""

    labels: NDArray[np.int64]
    """`(n,)`."""
    added: NDArray[np.float64]
    """`(n,)`: the angle by which it was turned."""
    roll: NDArray[np.float64]
    """`(n,)`: the angle of the eye line; NaN where it cannot be told."""
    said: dict[str, NDArray[np.int64]]
    """By way, `(n,)`: the most probable expression."""
    attempts: int


def read_photographs(
    folder: Path, count: int, detector: Detector, bundle: Bundle, cuttings: Sequence[Cutting]
) -> Photographs:
    """Turn, find, cut in every way, predict."""
    split = load_ferplus(folder, "validation")
    chosen = np.random.default_rng(0).choice(len(split), min(count, len(split)), replace=False)
    truth = argmax_labels(split.votes)
    labels, added, rolls = [], [], []
    crops: dict[str, list[NDArray[np.uint8]]] = {cutting.name: [] for cutting in cuttings}
    said: dict[str, list[NDArray[np.int64]]] = {cutting.name: [] for cutting in cuttings}

    def predict() -> None:
        for name, pictures in crops.items():
            said[name].append(bundle.predict_crops(pictures).argmax(axis=1))
            pictures.clear()

    for number, index in enumerate(chosen):
        for angle in ANGLES:
            # To either side in turn: a model may prefer one.
            degrees = angle if (number + ANGLES.index(angle)) % 2 else -angle
            picture, side = turned(split.images[index], degrees)
            face = middle_face(detector.detect(picture), picture, side)
            if face is None:
                continue
            labels.append(int(truth[index]))
            added.append(angle)
            roll = eye_line_degrees(face)
            rolls.append(np.nan if roll is None else roll)
            for cutting in cuttings:
                crops[cutting.name].append(
                    extract_crop(
                        picture,
                        face,
                        mapping=detector.canonical,
                        geometry=cutting.geometry,
                    )
                )
        if number % 64 == 63:
            predict()
    predict()
    roll = np.array(rolls)
    results = {name: np.concatenate(parts) for name, parts in said.items()}
    for least in LEFT_ALONE_DEGREES:
        is_left = ~(np.abs(roll) > least)
        results[f"eyes > {least}"] = np.where(is_left, results["none"], results["eyes"])
    return Photographs(
        labels=np.array(labels),
        added=np.array(added, np.float64),
        roll=roll,
        said=results,
        attempts=len(chosen) * len(ANGLES),
    )


def mean_recall(labels: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    """The mean of the recalls of the expressions that are there."""
    return float(np.mean([(said[labels == one] == one).mean() for one in np.unique(labels)]))


def gain_interval(truth: NDArray[np.int64], before: Any, after: Any) -> tuple[float, float]:
    """The 95 % interval of the gain in accuracy, in the same pictures (bootstrap)."""
    gains = (after == truth).astype(float) - (before == truth)
    random = np.random.default_rng(0)
    means = [gains[random.integers(0, len(gains), len(gains))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def show_photographs(photographs: Photographs) -> list[dict[str, Any]]:
    """Print and return shares named rightly, by added angle and by the roll that is there."""
    rows = []
    names = list(photographs.said)
    print(
        f"{'':22}{'n':>6}"
        + "".join(f"{name:>14}" for name in names)
        + f"{'gain of eyes, 95 %':>22}"
    )
    size = np.abs(photographs.roll)
    groups = [("all", np.ones(len(size), bool))]
    groups += [(f"turned by {angle}", photographs.added == angle) for angle in ANGLES]
    groups += [
        (f"eye line {low} to {high}", (size >= low) & (size < high)) for low, high in ROLL_BINS
    ]
    for label, chosen in groups:
        if not chosen.any():
            continue
        truth = photographs.labels[chosen]
        cells = {}
        for name in names:
            said = photographs.said[name][chosen]
            cells[name] = {
                "accuracy": float((said == truth).mean()),
                "mean_recall": mean_recall(truth, said),
            }
        low, high = gain_interval(
            truth, photographs.said["none"][chosen], photographs.said["eyes"][chosen]
        )
        rows.append(
            {"group": label, "n": int(chosen.sum()), "ways": cells, "gain_interval": [low, high]}
        )
        print(
            f"{label:22}{chosen.sum():6}"
            + "".join(f"{c['accuracy']:8.1%}{c['mean_recall']:6.1%}" for c in cells.values())
            + f"{100 * low:+14.1f} to{100 * high:+5.1f}"
        )
    return rows


def read_clips(
    folder: Path, detector: Detector, bundle: Bundle, cuttings: Sequence[Cutting]
) -> list[dict[str, Any]]:
    """Print and return the mean probability of the known expression, and flips, for each way."""
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(known.clip for known in KNOWN):
        follower = FaceFollower(detector, detect_every=1, search_every=5)
        seen: list[tuple[int, float]] = []
        crops: dict[str, list[NDArray[np.uint8]]] = {cutting.name: [] for cutting in cuttings}
        with VideoReader(folder / name) as reader:
            for frame in reader:
                faces, _ = follower.look(
                    frame.image_rgb,
                    frame_index=frame.index,
                    timestamp_seconds=frame.timestamp_seconds,
                )
                for face in faces:
                    seen.append((face.face_id, frame.timestamp_seconds))
                    for cutting in cuttings:
                        crops[cutting.name].append(
                            extract_crop(
                                frame.image_rgb,
                                face.detection,
                                mapping=detector.canonical,
                                geometry=cutting.geometry,
                            )
                        )
        ids = np.array([one for one, _ in seen])
        times = np.array([one for _, one in seen])
        is_main = ids == np.bincount(ids).argmax()
        for cutting in cuttings:
            values = np.concatenate(
                [
                    bundle.predict_crops(crops[cutting.name][i : i + 64])
                    for i in range(0, len(ids), 64)
                ]
            )[is_main]
            top = values.argmax(axis=1)
            span = times[is_main][-1] - times[is_main][0]
            for known in (one for one in KNOWN if one.clip == name):
                inside = (times[is_main] >= known.start_seconds) & (
                    times[is_main] < known.end_seconds
                )
                mean = values[inside].mean(axis=0)
                rows.append(
                    {
                        "clip": name,
                        "known": known.emotion,
                        "way": cutting.name,
                        "mean_probability": float(mean[EMOTIONS.index(known.emotion)]),
                        "named": EMOTIONS[int(mean.argmax())],
                        "flips_per_minute": float(60 * (np.diff(top) != 0).sum() / span),
                    }
                )
    return rows


def show_clips(rows: Sequence[dict[str, Any]]) -> None:
    """Print one line a stretch."""
    names = list(dict.fromkeys(row["way"] for row in rows))
    print(f"\n{'clip, known expression':44}" + "".join(f"{name:>24}" for name in names))
    for clip, known in dict.fromkeys((row["clip"], row["known"]) for row in rows):
        mine = [row for row in rows if (row["clip"], row["known"]) == (clip, known)]
        print(
            f"{clip + ', ' + known:44}"
            + "".join(
                f"{row['mean_probability']:8.3f} "
                f"{'=' if row['named'] == known else row['named']:>10}"
                f"{row['flips_per_minute']:5.0f}"
                for row in mine
            )
        )
    for name in names:
        mine = [row for row in rows if row["way"] == name]
        right = sum(row["named"] == row["known"] for row in mine)
        print(
            f"{name:20} mean probability {np.mean([r['mean_probability'] for r in mine]):.3f}, "
            f"{right} of {len(mine)} stretches named; flips a minute "
            f"{np.mean([row['flips_per_minute'] for row in mine]):.0f}"
        )


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ferplus", type=Path, help="the folder with ferplus.parquet")
    parser.add_argument("clips", type=Path, help="a folder of video clips")
    parser.add_argument("models", type=Path, help="the folder with the detector files")
    parser.add_argument("--images", type=int, default=800)
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--save", type=Path, default=None, help="folder for the numbers")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    bundle = load_bundle(options.bundle)
    detector = make_detector("yunet", folder=options.models)
    cuttings = ways(bundle.spec.crop)
    photographs = read_photographs(options.ferplus, options.images, detector, bundle, cuttings)
    print(f"found: {len(photographs.labels)} of {photographs.attempts}; accuracy, mean recall")
    groups = show_photographs(photographs)
    clips = read_clips(options.clips, detector, bundle, cuttings)
    show_clips(clips)
    if options.save is not None:
        save_results(
            options.save,
            "level-crop",
            {
                "bundle": bundle.describe(),
                "photographs": {"found": len(photographs.labels), "groups": groups},
                "clips": clips,
            },
        )


if __name__ == "__main__":
    main()
