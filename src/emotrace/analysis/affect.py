"""Valence and arousal derived from expression probabilities, for bundles that predict none.

The value of a frame is the expectation of published ratings under the predicted probabilities.
It carries no information beyond the probabilities: the tables mark it `derived`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def _from_nine_point_scale(rating: float) -> float:
    """Map a rating from 1 to 9 (5 is the middle) to [-1, 1]."""
    return (rating - 5.0) / 4.0


VALENCE_AROUSAL_NORMS: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "anger": (-0.51, 0.59),
        "contempt": (_from_nine_point_scale(3.85), _from_nine_point_scale(5.28)),
        "disgust": (-0.60, 0.35),
        "fear": (-0.64, 0.60),
        "happiness": (0.81, 0.51),
        "neutral": (0.0, 0.0),
        "sadness": (-0.63, -0.27),
        "surprise": (0.40, 0.67),
    }
)
"""`(valence, arousal)` of each expression, both in [-1, 1].

- Russell and Mehrabian (1977), "Evidence for a three-factor theory of emotions", Journal of
  Research in Personality 11, 273-294: mean pleasure and arousal of a term, given there in [-1, 1].
  Terms used: *angry* for anger, *disgusted* for disgust, *fearful* for fear, *happy* for happiness,
  *sad* for sadness, *surprised* for surprise. (Their *joyful* is a little lower, 0.76 and 0.48.)
  The numbers were checked against several independent reprints of the table (some of which print
  *disgust* for *disgusted*), not against a scan of the article.
- Bradley and Lang (1999), "Affective norms for English words (ANEW)": mean valence 3.85 and arousal
  5.28 of the word *contempt*, on scales from 1 to 9, mapped linearly to (-0.2875, 0.07). Used
  because no rating of the word contempt could be confirmed in the first source; the standard
  deviations (2.13 and 2.04 of the 8 points) say how little raters agree on it.
- neutral is (0, 0) by definition, not by measurement.

Both sources rated *words* for feelings, not pictures of faces.
"""

_NORM_MATRIX: Final[NDArray[np.float64]] = np.array(
    [VALENCE_AROUSAL_NORMS[name] for name in EMOTIONS], dtype=np.float64
)


def derive_valence_arousal(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the expected valence and arousal under expression probabilities.

    Args:
        probabilities: `(n, 8)` in the order of `EMOTIONS`, each row summing to 1.

    Returns:
        `(n, 2)` float32 in [-1, 1]: valence, arousal.

    Raises:
        UsageError: Another shape.

    >>> import numpy as np
    >>> certain_happiness = np.eye(8)[[4]]
    >>> derive_valence_arousal(certain_happiness).round(2).tolist()
    [[0.8100000023841858, 0.5099999904632568]]
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != len(EMOTIONS):
        raise UsageError(
            f"expected probabilities of shape (n, {len(EMOTIONS)}); got {probabilities.shape}"
        )
    expected = probabilities.astype(np.float64) @ _NORM_MATRIX
    return expected.astype(np.float32)
