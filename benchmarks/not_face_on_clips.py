"""Report what rejecting not-faces does on real clips: false alarms that go, true faces lost.

    python benchmarks/not_face_on_clips.py BUNDLE --clips folder --data folder --models folder

**What counts as a face.** Never the bundle's own opinion. In the stretches that the clips' README
says are without a face, every box is a false alarm. Elsewhere a box of Haar or LBP is a true face
if, in its frame or within 0.3 s of it, YuNet (960 px, score 0.6 or more) has a face whose canonical
square overlaps that of the box by 0.3 (intersection over union); else it is a false alarm. YuNet
itself cannot be judged so: all its boxes elsewhere count as true faces, also the few doubtful ones
in the street crowd, which makes its losses look worse than they are.

**Nobody is judged by what it learnt from.** A shipped head has seen crops of these very clips. So
the head is fitted again for each group of clips that share people or footage, by the shipped way
(`emotrace.training.face_head`) on the bundle's own features, without any crop of that group, and
that group is judged by it. With `--own` the bundle's own head and threshold are judged instead.

Two tables: each box that the detector reports, judged by its crop alone; and the faces that
`analyze` would show (tracked, carried by flow where the detector misses), judged by the rule of
`emotrace.analysis.rejection`. Haar comes twice: as emotrace runs it, which leaves few false alarms
to count, and with OpenCV's `default` cascade at OpenCV's default settings, which most tools run.

What the detectors find and what is mined is kept in the work folder: a second run takes minutes.
"""

from __future__ import annotations

import argparse
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx

from bench_machine import save_results
from emotrace.analysis.rejection import FaceRejection
from emotrace.bundle import Bundle, load_bundle
from emotrace.bundle_spec import MODEL_FILE
from emotrace.datasets.ferplus import load_ferplus
from emotrace.runtime import import_onnxruntime
from emotrace.timeline import (
    Detection,
    FaceResult,
    FaceSource,
    FrameResult,
    Prediction,
    TrackedFace,
    ValenceArousalSource,
)
from emotrace.training.face_head import (
    FaceHeadFit,
    FaceHeadSettings,
    PooledFeatures,
    as_pictures,
    augmented_features,
    face_features,
    fit_head,
)
from emotrace.training.face_head_refit import FACES, MADE, footage_in, sure_faces
from emotrace.training.not_face_crops import gather_not_faces
from faces_in_clips import Seen, Sighting, is_face, watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


GROUPS = (
    ("no_face", "face_noface", "noface_face", "single_face"),
    ("generated_",),
    ("head_pose",),
    ("classroom",),
    ("crowd",),
    ("crying",),
    ("face_demographics",),
)
"""Clips whose names begin alike share people, rooms or footage."""


def onnx_features(bundle: Bundle) -> tuple[PooledFeatures, FaceHeadFit]:
    """Return the function that computes what the bundle's face head sees, and that head."""
    model = onnx.load(str(bundle.folder / MODEL_FILE))
    makers = {name: node for node in model.graph.node for name in node.output}
    node = makers[bundle.spec.face_output]
    while node.op_type != "Conv":
        node = makers[node.input[0]]
    values = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    widened = {one.output[0]: one.input[0] for one in model.graph.node if one.op_type == "Cast"}
    weight, bias = (values[widened.get(name, name)] for name in node.input[1:3])
    pooled = node.input[0]
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(pooled))
    session = import_onnxruntime().InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )

    def compute(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = [
            session.run([pooled], {bundle.spec.input_name: pictures[at : at + 256]})[0]
            for at in range(0, len(pictures), 256)
        ]
        return np.concatenate([np.zeros((0, weight.size), np.float32), *map(flat, parts)])

    def flat(part: NDArray[np.float32]) -> NDArray[np.float32]:
        return part.reshape(len(part), -1)

    own = FaceHeadFit(
        weight=weight.astype(np.float32).ravel(),
        bias=float(bias.ravel()[0]),
        threshold=bundle.spec.face_threshold or 0.0,
        held_out={},
    )
    return compute, own


def left_out(
    sightings: Sequence[Sighting], probabilities: NDArray[np.float64], threshold: float
) -> NDArray[np.bool_]:
    """Say which of a clip's shown faces the rule of `analyze` leaves out."""
    rejection = FaceRejection(threshold)
    is_out = np.zeros(len(sightings), np.bool_)
    frames: dict[int, list[int]] = {}
    for at, one in enumerate(sightings):
        frames.setdefault(one.frame, []).append(at)
    for frame, places in frames.items():
        result = FrameResult(
            frame_index=frame,
            timestamp_seconds=sightings[places[0]].seconds,
            faces=tuple(as_result(sightings[at], float(probabilities[at])) for at in places),
        )
        kept = {item.face.detection.box_xywh_px for item in rejection.apply(result).faces}
        for at in places:
            is_out[at] = sightings[at].square not in kept
    return is_out


def as_result(sighting: Sighting, probability: float) -> FaceResult:
    """Dress a box up as what the pipeline hands to the rule."""
    return FaceResult(
        face=TrackedFace(
            face_id=sighting.face_id,
            detection=Detection(box_xywh_px=sighting.square, score=1.0),
            source=FaceSource.DETECTED,
        ),
        prediction=Prediction(
            probabilities=np.full(8, 0.125, np.float32),
            valence=0.0,
            arousal=0.0,
            valence_arousal_source=ValenceArousalSource.DERIVED,
            face_probability=probability,
        ),
    )


@dataclass(kw_only=True)
class Counts:
    """What became of a clip's boxes."""

    false_alarms: int = 0
    false_alarms_gone: int = 0
    faces: int = 0
    faces_lost: int = 0

    def add(self, is_true: Sequence[bool], is_out: NDArray[np.bool_]) -> None:
        """Count further boxes."""
        truth = np.asarray(is_true, np.bool_)
        self.faces += int(truth.sum())
        self.faces_lost += int((truth & is_out).sum())
        self.false_alarms += int((~truth).sum())
        self.false_alarms_gone += int((~truth & is_out).sum())


def judge(
    seen: dict[str, Seen], fits: dict[str, FaceHeadFit], features: PooledFeatures
) -> dict[str, dict[str, dict[str, Counts]]]:
    """Count, by table, detector and clip (and `all`), what goes and what is lost."""
    counts: dict[str, dict[str, dict[str, Counts]]] = {"detected": {}, "shown": {}}
    for clip, found in seen.items():
        fit = fits[clip]
        for table, by_detector in (("detected", found.detected), ("shown", found.shown)):
            for detector, sightings in by_detector.items():
                crops = [one.crop for one in sightings] or [np.zeros((48, 48), np.uint8)]
                said = fit.log_odds(features(as_pictures(np.stack(crops))))[: len(sightings)]
                probabilities = 1 / (1 + np.exp(-said))
                if table == "detected":
                    is_out = probabilities < fit.threshold
                else:
                    is_out = left_out(sightings, probabilities, fit.threshold)
                is_true = [is_face(one, found, clip, detector) for one in sightings]
                rows = counts[table].setdefault(detector, {})
                for name in (clip, "all"):
                    rows.setdefault(name, Counts()).add(is_true, is_out)
    return counts


def fit_without_each(
    clips: Sequence[str], data: Path, not_faces: dict[str, Any], features: PooledFeatures
) -> dict[str, FaceHeadFit]:
    """Fit a head for each clip, without the crops of its group."""
    settings = FaceHeadSettings()
    known = face_features(
        features,
        sure_faces(load_ferplus(data, "train"), FACES),
        sure_faces(load_ferplus(data, "validation")),
        seed=0,
        settings=settings,
    )
    parts = {
        Path(name).name: augmented_features(features, crops, seed=1, settings=settings)
        for name, crops in not_faces.items()
    }
    fits = {}
    for group in GROUPS:
        members = [clip for clip in clips if clip.startswith(group)]
        others = np.concatenate([part for name, part in parts.items() if name not in members])
        mine = [part[: len(part) // 3] for name, part in parts.items() if name in members]
        held_out = np.concatenate([np.zeros((0, others.shape[1]), np.float32), *mine])
        fit = fit_head(known, others, held_out, settings=settings)
        print(f"without {', '.join(group)}: threshold {fit.threshold:.4f}, {show(fit.held_out)}")
        fits |= dict.fromkeys(members, fit)
    return fits


def show(figures: dict[str, float]) -> str:
    """Write figures in one line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


def print_counts(counts: dict[str, dict[str, dict[str, Counts]]]) -> None:
    """Print both tables: totals, and the clips in which something happened."""
    for table, by_detector in counts.items():
        print(f"\n{table}: false alarms (gone), true faces (lost)")
        for detector, rows in by_detector.items():
            for clip, row in rows.items():
                if clip == "all" or row.false_alarms or row.faces_lost:
                    share = row.faces_lost / max(1, row.faces)
                    print(
                        f"{detector:13}{clip:46}{row.false_alarms:5} ({row.false_alarms_gone:4})"
                        f"{row.faces:7} ({row.faces_lost:4}, {share:.2%})"
                    )


def kept_in(path: Path, make: Any) -> Any:
    """Return what an earlier run has left in the work folder; make and leave it there otherwise."""
    if path.is_file():
        return pickle.loads(path.read_bytes())  # noqa: S301 -- our own
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(made))
    return made


def main() -> None:
    """Look at the clips, mine and fit where needed, judge, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", help="name or folder")
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="the folder with ferplus.parquet")
    parser.add_argument("--models", type=Path, required=True, help="the detectors' files")
    parser.add_argument("--own", action="store_true", help="judge the bundle's own head")
    parser.add_argument("--work", type=Path, default=Path("not_face_work"))
    parser.add_argument("--save", type=Path, default=None, help="folder for the numbers")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    bundle = load_bundle(options.bundle)
    features, own = onnx_features(bundle)
    paths = [one.path for one in footage_in(options.clips)]
    seen = {
        path.name: kept_in(
            options.work / f"{path.name}.seen",
            lambda path=path: watch(path, options.models, bundle),
        )
        for path in paths
    }
    if options.own:
        fits = dict.fromkeys(seen, own)
    else:
        faces = sure_faces(load_ferplus(options.data, "train"), MADE)
        not_faces = kept_in(
            options.work / "not_faces",
            lambda: gather_not_faces(
                faces, footage_in(options.clips), folder=options.models, seed=0
            ),
        )
        fits = fit_without_each(list(seen), options.data, not_faces, features)
    counts = judge(seen, fits, features)
    print_counts(counts)
    if options.save is not None:
        record = {
            "bundle": bundle.describe(),
            "head": "own" if options.own else "fitted without each clip's group",
            "thresholds": {clip: fit.threshold for clip, fit in fits.items()},
            "counts": counts,
        }
        save_results(options.save, "not-face-on-clips", record)


if __name__ == "__main__":
    main()
