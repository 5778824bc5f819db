"""From the faces of a video's frames to predictions, with any kind of bundle."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emotrace.analysis.columns import ExpressionColumns
from emotrace.analysis.temporal import TrackPredictor
from emotrace.bundle import DEFAULT_BUNDLE, load_bundle
from emotrace.faces import extract_crop

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from emotrace.bundle import Bundle
    from emotrace.bundle_spec import BundleSpec
    from emotrace.faces import BoxMapping
    from emotrace.timeline import Frame, Prediction, TrackedFace


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """A frame on its way from the tracker to the model."""

    frame: Frame | None
    """None where nobody needs the picture any more."""
    frame_index: int
    timestamp_seconds: float
    is_cut: bool
    faces: tuple[TrackedFace, ...]
    crops: tuple[tuple[NDArray[np.uint8], ...], ...]
    """Of each face, what `FacePredictor.cut` made of it."""


class FacePredictor:
    """Predicts the faces of one video.

    A bundle without memory gets crops of several frames at once, for speed; a temporal one gets
    frame after frame. A bundle that predicts valence and arousal and no expressions runs beside the
    default bundle: the tables' expressions are then that one's, which `notices` and `describe` say.

    Args:
        bundle: What the user chose.
        batch_size: Crops handed to a model without memory at once.
        threads: CPU threads of the default bundle, where it is needed.

    Raises:
        BundleError: The tables have no columns for what the bundle predicts.
    """

    def __init__(self, bundle: Bundle, *, batch_size: int, threads: int) -> None:
        spec = bundle.spec
        self.bundle = bundle
        self._beside: Bundle | None = None
        if spec.valence_arousal_output and not spec.labels:
            self._beside = load_bundle(DEFAULT_BUNDLE, threads=threads)
        self._columns = ExpressionColumns(self.face_spec)
        self._tracks = TrackPredictor(bundle)
        self._batch_size = batch_size

    @property
    def face_spec(self) -> BundleSpec:
        """Of the bundle that says which expression a face shows, and whether it is one."""
        return (self._beside or self.bundle).spec

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know, in plain words."""
        if self._beside is None:
            return self._columns.notices
        told = (
            f"the bundle {self.bundle.name} predicts valence and arousal only; the expressions "
            f"are those of the bundle {self._beside.name}"
        )
        return (told, *self._columns.notices)

    def describe(self) -> dict[str, Any]:
        """Return what a result should say of the bundle that made it, ready for JSON."""
        told = self.bundle.describe()
        return told | ({"expressions_by": self._beside.describe()} if self._beside else {})

    def cut(
        self, image_rgb: NDArray[np.uint8], face: TrackedFace, mapping: BoxMapping
    ) -> tuple[NDArray[np.uint8], ...]:
        """Cut a face out of a frame, once for each model that is to see it."""
        specs = [self.bundle.spec, *([self._beside.spec] if self._beside else [])]
        return tuple(
            extract_crop(image_rgb, face.detection, mapping=mapping, geometry=spec.crop)
            for spec in specs
        )

    def predict(self, frames: Sequence[TrackedFrame]) -> list[Prediction]:
        """Predict the faces of the next frames, in their order."""
        if self._beside is not None or self.bundle.spec.memory is not None:
            return [said for item in frames for said in self._predict_next(item)]
        crops = [crop for item in frames for (crop,) in item.crops]
        predictions: list[Prediction] = []
        for start in range(0, len(crops), self._batch_size):
            said = self.bundle.predict(crops[start : start + self._batch_size])
            predictions += self._columns.predictions(said)
        return predictions

    def _predict_next(self, item: TrackedFrame) -> list[Prediction]:
        said = self._tracks.step(
            [crops[0] for crops in item.crops],
            [face.face_id for face in item.faces],
            item.timestamp_seconds,
            is_cut=item.is_cut,
        )
        if self._beside is not None:
            expressions = self._beside.predict([crops[1] for crops in item.crops])
            said = dataclasses.replace(expressions, valence_arousal=said.valence_arousal)
        return self._columns.predictions(said)
