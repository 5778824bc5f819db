"""What a bundle loses when faces are framed, lit or compressed badly: fixed changes, paired.

The pictures of FER2013 are crops already: what lies outside them is not known, so edges are
repeated where a changed box reaches beyond. They are also small, so that every turn or shift
resamples 48 pixels, which does not happen to a face cut from a video. Every
change is drawn from a seed of its own, once for all pictures.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from emotrace.metrics import bootstrap_interval, unweighted_average_recall
from emotrace.training.scoring import score_images

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from emotrace.bundle import Bundle

    Change = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One way in which faces are made harder."""

    name: str
    what: str
    """In words, with units."""
    change: Change
    """Takes a `(size, size)` grey picture and the random numbers of that picture."""
    wanted_points: float | None = None
    """Points of accuracy that may be lost at most, where a limit was set for it."""


def _framed(
    image: NDArray[np.uint8],
    *,
    shift: tuple[float, float] = (0.0, 0.0),
    scale: float = 1.0,
    roll_degrees: float = 0.0,
) -> NDArray[np.uint8]:
    """Cut the face as a box would that is shifted (in sides), larger by `scale`, and turned."""
    size = image.shape[0]
    middle = (size - 1) / 2
    angle = math.radians(roll_degrees)
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    # Where each pixel of the result lies in the picture.
    matrix = np.array(
        [
            [cosine, -sine, middle * (1 - cosine + sine) + shift[0] * size],
            [sine, cosine, middle * (1 - sine - cosine) + shift[1] * size],
        ]
    )
    framed = cv2.warpAffine(
        image,
        matrix,
        (size, size),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return framed.astype(np.uint8, copy=False)


def _sign(generator: np.random.Generator) -> float:
    return 1.0 if generator.random() < 0.5 else -1.0


def _jittered(image: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    x, y = generator.uniform(-0.1, 0.1, 2)
    return _framed(image, shift=(float(x), float(y)))


def _shifted(image: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    return _framed(image, shift=(0.1 * _sign(generator), 0.1 * _sign(generator)))


def _scaled(image: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    return _framed(image, scale=float(np.exp(generator.uniform(math.log(0.8), math.log(1.25)))))


def _rolled(image: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    return _framed(image, roll_degrees=float(generator.uniform(-20, 20)))


def _rolled_far(image: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    return _framed(image, roll_degrees=20 * _sign(generator))


def _lowered(image: NDArray[np.uint8], _: np.random.Generator) -> NDArray[np.uint8]:
    small = cv2.resize(image, (24, 24), interpolation=cv2.INTER_AREA)
    back = cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return back.astype(np.uint8, copy=False)


def _compressed(image: NDArray[np.uint8], _: np.random.Generator) -> NDArray[np.uint8]:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def _blurred(image: NDArray[np.uint8], _: np.random.Generator) -> NDArray[np.uint8]:
    soft = cv2.GaussianBlur(image, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    return soft.astype(np.uint8, copy=False)


def _brightened(image: NDArray[np.uint8], gamma: float) -> NDArray[np.uint8]:
    return np.rint(255 * (image / 255.0) ** gamma).astype(np.uint8)


def _exposed(image: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    return _brightened(image, float(np.exp(generator.uniform(math.log(0.5), math.log(2)))))


def _lit_from_a_side(image: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    across = np.linspace(-1, 1, image.shape[1]) * _sign(generator)
    return np.clip(np.rint(image * (1 + 0.6 * across)), 0, 255).astype(np.uint8)


CONDITIONS: Final = (
    Condition(
        name="box jitter",
        what="box shifted by up to 10 % of its side, each way",
        change=_jittered,
        wanted_points=2,
    ),
    Condition(
        name="box scale",
        what="box 0.8 to 1.25 times as large",
        change=_scaled,
        wanted_points=2,
    ),
    Condition(
        name="roll",
        what="face turned in its plane by up to 20 degrees, each way",
        change=_rolled,
        wanted_points=2,
    ),
    Condition(
        name="24 px",
        what="shrunk to 24 x 24 pixels and back",
        change=_lowered,
        wanted_points=4,
    ),
    Condition(
        name="JPEG 30",
        what="48 x 48 pixels as JPEG of quality 30",
        change=_compressed,
        wanted_points=2,
    ),
    Condition(
        name="blur",
        what="Gaussian, sigma 1 of 48 pixels",
        change=_blurred,
        wanted_points=2,
    ),
    Condition(
        name="gamma",
        what="0.5 to 2",
        change=_exposed,
        wanted_points=2,
    ),
    Condition(
        name="side light",
        what="0.4 times as bright at one side, 1.6 times at the other",
        change=_lit_from_a_side,
        wanted_points=2,
    ),
    Condition(
        name="shift 10 %",
        what="box shifted by 10 % of its side sideways and upright",
        change=_shifted,
    ),
    Condition(
        name="scale 0.8", what="box 0.8 times as large", change=lambda i, _: _framed(i, scale=0.8)
    ),
    Condition(
        name="scale 1.25",
        what="box 1.25 times as large",
        change=lambda i, _: _framed(i, scale=1.25),
    ),
    Condition(name="roll 20", what="turned by 20 degrees", change=_rolled_far),
    Condition(name="gamma 0.5", what="much brighter", change=lambda i, _: _brightened(i, 0.5)),
    Condition(name="gamma 2", what="much darker", change=lambda i, _: _brightened(i, 2.0)),
)
"""Ranges first, each with the loss that is allowed at most; then the ends of the ranges."""


def apply_condition(condition: Condition, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Change `(n, size, size)` grey pictures; the same each time it is called."""
    generator = np.random.default_rng(zlib.crc32(condition.name.encode()))
    return np.stack([condition.change(image, generator) for image in images])


def measure_robustness(
    training: Bundle,
    default: Bundle,
    images: NDArray[np.uint8],
    truth: NDArray[np.int64],
    *,
    advance: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Score faces under each condition and compare, face by face, with the faces as they are.

    Args:
        training: The bundle under its training prior; its accuracy is reported.
        default: The same bundle under its default prior; its average recall is reported.
        images: `(n, 48, 48)`, uint8 grey.
        truth: `(n,)`, index into the bundle's labels; no -1.
        advance: Called after each condition and once for the faces as they are.

    Returns:
        Ready for JSON: `n`, `unchanged` and a list of `conditions`; each with `accuracy`,
        `accuracy_lost` and its 95 % bootstrap interval over faces (drawn in pairs), the same of
        `recall`, all in points of 100, and `rejected`, the share of faces below the bundle's
        `face_threshold` (None where it states none).
    """
    before = _score(training, default, images)
    if advance:
        advance()
    rows = []
    for condition in CONDITIONS:
        after = _score(training, default, apply_condition(condition, images))
        rows.append(
            {
                "name": condition.name,
                "what": condition.what,
                "wanted_points": condition.wanted_points,
                **_compare(truth, before, after, len(training.labels)),
            }
        )
        if advance:
            advance()
    unchanged = _compare(truth, before, before, len(training.labels))
    return {
        "n": len(images),
        "unchanged": {name: unchanged[name] for name in ("accuracy", "recall", "rejected")},
        "conditions": rows,
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scored:
    training: NDArray[np.int64]
    """`(n,)`: top labels under the training prior."""
    default: NDArray[np.int64]
    rejected: float | None


def _score(training: Bundle, default: Bundle, images: NDArray[np.uint8]) -> _Scored:
    outputs = score_images(default, images)
    said = default.interpret(outputs)
    faces, threshold = said.face_probabilities, default.spec.face_threshold
    rejected = None
    if faces is not None and threshold is not None:
        rejected = round(float((faces < threshold).mean()), 4)
    return _Scored(
        training=training.interpret(outputs).probabilities.argmax(axis=1),
        default=said.probabilities.argmax(axis=1),
        rejected=rejected,
    )


def _compare(
    truth: NDArray[np.int64], before: _Scored, after: _Scored, classes: int
) -> dict[str, Any]:
    hits = (before.training == truth).astype(float), (after.training == truth).astype(float)
    lost = hits[0] - hits[1]

    def recall(top: NDArray[np.int64], drawn: NDArray[np.int64] | slice) -> float:
        return unweighted_average_recall(truth[drawn], top[drawn], classes)

    def recall_lost(drawn: NDArray[np.int64] | slice) -> float:
        return recall(before.default, drawn) - recall(after.default, drawn)

    everyone = slice(None)
    return {
        "accuracy": _points(float(hits[1].mean())),
        "accuracy_lost": _points(float(lost.mean())),
        "accuracy_lost_interval_95": _interval(lambda d: float(lost[d].mean()), len(truth)),
        "recall": _points(recall(after.default, everyone)),
        "recall_lost": _points(recall_lost(everyone)),
        "recall_lost_interval_95": _interval(recall_lost, len(truth)),
        "rejected": after.rejected,
    }


def _interval(measure: Callable[[NDArray[np.int64]], float], count: int) -> list[float]:
    return [_points(value) for value in bootstrap_interval(measure, count)]


def _points(share: float) -> float:
    return round(100 * share, 2)
