"""Measure how each detector's box sits around a face, and print the `BoxMapping` that follows.

Four steps, so that every detector's crop matches FER2013's:

1. FER2013's pictures (of FER+'s split `--split`) are enlarged and given a border; YuNet's box is
   compared with the picture's own frame, the canonical square. A second table repeats this on fewer
   pictures with faces of other sizes in the detection picture: YuNet draws large faces larger.
2. Haar's and LBP's boxes are compared with the same frames.
3. On frames of real clips they are compared with the canonical square that YuNet's box maps to,
   where both find the same face (IoU > 0.4).

4. What is left after the mappings that emotrace uses: how far the canonical square of each detector
   is off FER2013's frame, and off another detector's square in the same frame of a clip; and how
   far YuNet's box changes between a search of the whole picture and a look around a known face.

The mappings were chosen on `validation`; `train` tells how well they hold.

The roll of FER2013's faces (the angle of the line through the eyes) is measured on the way: it
tells whether those pictures were levelled.

    python benchmarks/calibrate_crop.py ferplus.parquet clips_folder detector_files_folder
"""

from __future__ import annotations

import argparse
import io
import itertools
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from emotrace.faces.association import box_iou
from emotrace.faces.crop import BoxMapping, canonical_square, eye_line_degrees
from emotrace.faces.haar import HaarDetector
from emotrace.faces.lbp import LbpDetector
from emotrace.faces.yunet import YUNET_BOX, YuNetDetector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from emotrace.faces.detector import Detector
    from emotrace.timeline import Detection

Square = tuple[float, float, float]
"""Centre x, centre y, side; pixels."""
Relation = tuple[float, float, float]
"""What a `BoxMapping` would have to be: scale, dx, dy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a FER picture is put into a larger one."""

    enlargement: int
    border_share: float
    """Border on each side, in picture widths."""


MAIN = Layout(enlargement=3, border_share=1.0)
"""YuNet's box is 190 px in its 640 px picture then, near the middle of the clips' faces."""
OTHERS = (
    Layout(enlargement=1, border_share=0.5),
    Layout(enlargement=5, border_share=1.5),
    Layout(enlargement=2, border_share=0.5),
    Layout(enlargement=5, border_share=0.5),
)
MIN_SHARED_IOU = 0.4
"""Boxes of two detectors that overlap by more than this are of the same face."""
UNIT = BoxMapping()
CLIP_SUFFIXES = (".mp4", ".mov", ".gif")


def read_fer(path: Path, split: str, count: int) -> list[NDArray[np.uint8]]:
    """Read FER pictures of a split, spread over it: grey, 48 x 48."""
    table = pq.read_table(path, columns=["image"], filters=[("split", "==", split)])
    chosen = np.linspace(0, table.num_rows - 1, min(count, table.num_rows)).astype(int)
    return [
        np.asarray(Image.open(io.BytesIO(cell.as_py())).convert("L"), np.uint8)
        for cell in table.column("image").take(chosen)
    ]


def with_border(grey: NDArray[np.uint8], layout: Layout) -> tuple[NDArray[np.uint8], Square]:
    """Enlarge a FER picture and add a border; return it as RGB, with its own frame."""
    side = grey.shape[0] * layout.enlargement
    border = round(side * layout.border_share)
    large = cv2.resize(grey, (side, side), interpolation=cv2.INTER_CUBIC)
    # Repeated edges look more like a background than a grey frame with hard edges does.
    padded = cv2.copyMakeBorder(large, border, border, border, border, cv2.BORDER_REPLICATE)
    picture = np.repeat(np.asarray(padded, np.uint8)[..., None], 3, axis=2)
    return picture, (border + side / 2, border + side / 2, side)


def relation(detection: Detection, square: Square) -> Relation:
    """Return what maps this box to `square`."""
    own = canonical_square(detection, UNIT)
    return (
        square[2] / own.side_px,
        (square[0] - own.center_x_px) / own.side_px,
        (square[1] - own.center_y_px) / own.side_px,
    )


def square_of(detection: Detection, mapping: BoxMapping = YUNET_BOX) -> Square:
    """Return the canonical square of a detection."""
    square = canonical_square(detection, mapping)
    return square.center_x_px, square.center_y_px, square.side_px


def show_residual(label: str, pairs: list[tuple[Square, Square]]) -> None:
    """Print how far squares are off others, in % of the others' sides."""
    if not pairs:
        print(f"{label:42s} none")
        return
    ours, theirs = np.array(pairs).transpose(1, 0, 2)
    off = (ours[:, :2] - theirs[:, :2]) / theirs[:, 2:]
    size = np.log(ours[:, 2] / theirs[:, 2])
    print(
        f"{label:42s} n={len(pairs):5d}  side {100 * np.expm1(np.median(size)):+.1f} % "
        f"(|.| {100 * np.median(np.abs(size)):.1f} %)  right {100 * np.median(off[:, 0]):+.1f} % "
        f"down {100 * np.median(off[:, 1]):+.1f} %  (distance "
        f"{100 * np.median(np.hypot(*off.T)):.1f} %)"
    )


def central(detections: list[Detection], square: Square) -> Detection | None:
    """Return the best detection whose centre lies in the middle half of the FER frame."""
    for item in detections:
        own = canonical_square(item, UNIT)
        off = max(abs(own.center_x_px - square[0]), abs(own.center_y_px - square[1]))
        if off < square[2] / 4 and 0.4 < own.side_px / square[2] < 1.4:
            return item
    return None


def show(label: str, rows: list[Relation], attempts: int) -> None:
    """Print medians and quartiles of one comparison."""
    low, middle, high = np.quantile(np.array(rows), [0.25, 0.5, 0.75], axis=0)
    cells = [
        f"{name} {middle[i]:+.3f} [{low[i]:+.3f}, {high[i]:+.3f}]"
        for i, name in enumerate(("scale", "dx", "dy"))
    ]
    print(f"{label:42s} n={len(rows):5d} of {attempts:5d}  {'  '.join(cells)}")


def clip_frames(path: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield `count` frames spread over a clip."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for index in np.linspace(0, len(frames) - 1, count).round().astype(int):
        yield frames[index]


def measure_fer(greys: list[NDArray[np.uint8]], yunet: Detector, cascades: list[Detector]) -> None:
    """Compare the boxes of all detectors with FER's frames."""
    images = [with_border(grey, MAIN) for grey in greys]
    found = [(central(yunet.detect(image), square), square) for image, square in images]
    pairs = [(item, square) for item, square in found if item is not None]
    show("yunet box -> FER frame", [relation(*pair) for pair in pairs], len(images))
    spreads = {
        "width": [square[2] / item.box_xywh_px[2] for item, square in pairs],
        "height": [square[2] / item.box_xywh_px[3] for item, square in pairs],
        "sqrt(area)": [relation(*pair)[0] for pair in pairs],
    }
    for name, ratios in spreads.items():
        print(f"    scale by {name}: standard deviation of its log {np.log(ratios).std():.3f}")
    show_residual("yunet square - FER frame", [(square_of(item), square) for item, square in pairs])
    show_roll([item for item, _ in pairs])
    for layout in OTHERS:
        rows = []
        sizes = []
        some = [with_border(grey, layout) for grey in greys[: len(greys) // 4]]
        for image, square in some:
            item = central(yunet.detect(image), square)
            if item is not None:
                rows.append(relation(item, square))
                enlarged = min(640 / max(image.shape), 2.0)
                sizes.append(canonical_square(item, UNIT).side_px * enlarged)
        show(f"yunet, box of {np.median(sizes):.0f} px -> FER frame", rows, len(some))
    for cascade in cascades:
        items = [(central(cascade.detect(image), square), square) for image, square in images]
        rows = [relation(item, square) for item, square in items if item is not None]
        show(f"{cascade.name} box -> FER frame", rows, len(images))
        show_residual(
            f"{cascade.name} square - FER frame",
            [
                (square_of(item, cascade.canonical), square)
                for item, square in items
                if item is not None
            ],
        )


def show_roll(faces: list[Detection]) -> None:
    """Print how far FER's faces are from level."""
    angles = [eye_line_degrees(face) for face in faces]
    roll = np.abs([angle for angle in angles if angle is not None])
    low, middle, high, top = np.quantile(roll, [0.25, 0.5, 0.75, 0.95])
    print(
        f"roll of FER faces: median |angle| {middle:.1f} degrees, quartiles {low:.1f}-{high:.1f}, "
        f"95 % {top:.1f}, above 10 degrees {np.mean(roll > 10):.0%}"
    )


def measure_clips(
    folder: Path, frames_per_clip: int, yunet: Detector, cascades: list[Detector]
) -> None:
    """Compare the cascades' boxes with YuNet's canonical squares on frames of real clips."""
    rows: dict[str, list[Relation]] = defaultdict(list)
    attempts = 0
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in CLIP_SUFFIXES]
    for frame in (frame for path in paths for frame in clip_frames(path, frames_per_clip)):
        faces = yunet.detect(frame)
        attempts += len(faces)
        for cascade in cascades:
            for item in cascade.detect(frame):
                rows[cascade.name] += [
                    relation(item, square_of(face))
                    for face in faces
                    if box_iou(item.box_xywh_px, face.box_xywh_px) > MIN_SHARED_IOU
                ]
    for name in sorted(rows):
        show(f"{name} box -> yunet's square, clips", rows[name], attempts)


def measure_agreement(
    folder: Path, frames_per_clip: int, yunet: YuNetDetector, cascades: list[Detector]
) -> None:
    """Compare the canonical squares of two detectors in the same frames, and YuNet's with its own.

    "Near" is YuNet looking around the face that it found in the whole picture, at the size at which
    most frames of a video are looked at.
    """
    detectors: list[Detector] = [yunet, *cascades]
    pairs: dict[str, list[tuple[Square, Square]]] = defaultdict(list)
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in CLIP_SUFFIXES]
    for frame in (frame for path in paths for frame in clip_frames(path, frames_per_clip)):
        found = {
            detector.name: [(item, detector.canonical) for item in detector.detect(frame)]
            for detector in detectors
        }
        found["yunet near"] = [
            (item, yunet.canonical)
            for face, _ in found["yunet"]
            for item in yunet.detect_near(frame, face.box_xywh_px)[:1]
        ]
        for first, second in itertools.combinations(found, 2):
            pairs[f"{second} - {first}, clips"] += [
                (square_of(*b), square_of(*a))
                for a in found[first]
                for b in found[second]
                if box_iou(square_box(*a), square_box(*b)) > MIN_SHARED_IOU
            ]
    for label, rows in pairs.items():
        show_residual(label, rows)


def square_box(detection: Detection, mapping: BoxMapping) -> tuple[float, float, float, float]:
    """Return the canonical square as left, top, width, height."""
    x, y, side = square_of(detection, mapping)
    return (x - side / 2, y - side / 2, side, side)


def main() -> None:
    """Run all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ferplus", type=Path, help="ferplus.parquet")
    parser.add_argument("clips", type=Path, help="a folder of video clips")
    parser.add_argument("models", type=Path, help="the folder with the detector files")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--split", choices=("train", "validation"), default="validation")
    parser.add_argument("--frames-per-clip", type=int, default=12)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)

    yunet = YuNetDetector(arguments.models / "face_detection_yunet_2023mar.onnx")
    cascades: list[Detector] = [
        HaarDetector(),
        LbpDetector(arguments.models / "lbpcascade_frontalface_improved.xml"),
    ]
    greys = read_fer(arguments.ferplus, arguments.split, arguments.images)
    measure_fer(greys, yunet, cascades)
    measure_clips(arguments.clips, arguments.frames_per_clip, yunet, cascades)
    measure_agreement(arguments.clips, arguments.frames_per_clip, yunet, cascades)


if __name__ == "__main__":
    main()
