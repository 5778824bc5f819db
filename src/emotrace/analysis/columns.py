"""From a bundle's labels to the eight columns of the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emotrace.analysis.affect import derive_valence_arousal
from emotrace.errors import BundleError
from emotrace.labels import EMOTIONS, nearest_emotion
from emotrace.timeline import Prediction, ValenceArousalSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.bundle import CropPredictions
    from emotrace.bundle_spec import BundleSpec


class ExpressionColumns:
    """Where each of a bundle's labels goes in the tables.

    A label of another name goes to the expression that `emotrace.labels` names (RAVDESS's calm to
    neutral); where two go to the same one, their probabilities are added. An expression that the
    bundle does not know has probability 0. `notices` says so in words.

    Args:
        spec: The bundle's.

    Raises:
        BundleError: It predicts no expressions, or one that the tables have no column for.
    """

    def __init__(self, spec: BundleSpec) -> None:
        homes = {label: nearest_emotion(label) for label in spec.labels}
        homeless = [label for label, home in homes.items() if home is None]
        if not homes or homeless:
            lack = (
                f"has {', '.join(homeless)}, which no column stands for"
                if homes
                else "predicts no expressions"
            )
            raise BundleError(
                f"expected a bundle that predicts (some of) {', '.join(EMOTIONS)}; {spec.name} "
                f"{lack}; use it from Python (emotrace.analysis.temporal.TrackPredictor)"
            )
        self._at = np.array([EMOTIONS.index(home) for home in homes.values() if home is not None])
        self._is_same = spec.labels == EMOTIONS
        self.notices = _say(spec, homes)

    def arrange(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn `(n, labels)` of the bundle into `(n, 8)` in the order of `EMOTIONS`."""
        if self._is_same:
            return probabilities
        arranged = np.zeros((len(probabilities), len(EMOTIONS)), np.float32)
        for at, column in zip(self._at, probabilities.T, strict=True):
            arranged[:, at] += column
        return arranged

    def predictions(self, said: CropPredictions) -> list[Prediction]:
        """Turn what the bundle said into what the tables hold, valence and arousal included."""
        probabilities = self.arrange(said.probabilities)
        if said.valence_arousal is not None:
            source, affect = ValenceArousalSource.MODEL, said.valence_arousal
        else:
            source = ValenceArousalSource.DERIVED
            affect = derive_valence_arousal(probabilities)
        faces = said.face_probabilities
        return [
            Prediction(
                probabilities=row,
                valence=float(valence),
                arousal=float(arousal),
                valence_arousal_source=source,
                face_probability=None if faces is None else float(faces[at]),
            )
            for at, (row, (valence, arousal)) in enumerate(zip(probabilities, affect, strict=True))
        ]


def _say(spec: BundleSpec, homes: dict[str, str | None]) -> tuple[str, ...]:
    notices = []
    moved = [f"{label} counts as {home}" for label, home in homes.items() if label.lower() != home]
    if moved:
        notices.append(
            f"the bundle {spec.name} has labels that the tables lack: "
            f"{', '.join(moved)} in the tables"
        )
    unknown = [name for name in EMOTIONS if name not in homes.values()]
    if unknown:
        notices.append(
            f"the bundle {spec.name} does not know {', '.join(unknown)}: 0 everywhere in the tables"
        )
    return tuple(notices)
