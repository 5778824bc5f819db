"""Label sets, and the mappings from other people's names to ours. The only place that maps names.

emotrace's emotion names are lower-case nouns in one fixed order, `EMOTIONS`. Data sets write
adjectives, capitals and other orders; each mapping below is the whole truth about one of them.
"""

from __future__ import annotations

from typing import Final

EMOTIONS: Final[tuple[str, ...]] = (
    "anger",
    "contempt",
    "disgust",
    "fear",
    "happiness",
    "neutral",
    "sadness",
    "surprise",
)
"""The eight expressions, in the order of every table column and every model output."""

FERPLUS_VOTE_COLUMNS: Final[dict[str, str]] = {
    "neutral": "neutral",
    "happiness": "happiness",
    "surprise": "surprise",
    "sadness": "sadness",
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "contempt": "contempt",
}
"""FER+'s vote names (its own order) to ours; it also has `unknown` and `not_face`."""

FER2013_NAMES: Final[dict[str, str]] = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
    "neutral": "neutral",
}
"""FER2013's names, in the order of its integer codes 0 to 6, to ours. It has no contempt."""

FER2013_EMOTIONS: Final[tuple[str, ...]] = tuple(
    name for name in EMOTIONS if name in FER2013_NAMES.values()
)
"""The seven of `EMOTIONS` that FER2013 labels, in our order."""


def label_index(name: str, labels: tuple[str, ...] = EMOTIONS) -> int:
    """Return the position of `name` in `labels`.

    Raises:
        ValueError: `name` is not one of `labels`; the message lists them.

    >>> label_index("contempt")
    1
    """
    try:
        return labels.index(name)
    except ValueError:
        raise ValueError(f"expected one of {', '.join(labels)}; got {name!r}") from None
