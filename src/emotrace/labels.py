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


CKPLUS_CODES: Final[dict[int, str]] = {
    0: "neutral",
    1: "anger",
    2: "contempt",
    3: "disgust",
    4: "fear",
    5: "happiness",
    6: "sadness",
    7: "surprise",
}
"""CK+'s emotion codes (Lucey et al., 2010; the ReadMe of the set) to ours."""

JAFFE_CODES: Final[dict[str, str]] = {
    "NE": "neutral",
    "HA": "happiness",
    "SA": "sadness",
    "SU": "surprise",
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
}
"""JAFFE's two letters in a file name (its README) to ours. It has no contempt."""

OULU_CASIA_NAMES: Final[dict[str, str]] = {
    "Anger": "anger",
    "Disgust": "disgust",
    "Fear": "fear",
    "Happiness": "happiness",
    "Sadness": "sadness",
    "Surprise": "surprise",
}
"""Oulu-CASIA's folder names to ours. It has neither neutral nor contempt."""

AFFWILD2_CODES: Final[dict[int, str | None]] = {
    0: "neutral",
    1: "anger",
    2: "disgust",
    3: "fear",
    4: "happiness",
    5: "sadness",
    6: "surprise",
    7: None,
}
"""Aff-Wild2's expression codes to ours; 7 is `Other`, which ours do not have. -1 is no label."""

AFFWILD2_NAMES: Final[tuple[str, ...]] = (
    "Neutral",
    "Anger",
    "Disgust",
    "Fear",
    "Happiness",
    "Sadness",
    "Surprise",
    "Other",
)
"""Aff-Wild2's own names, in the order of its codes, as its files' first lines have them."""

RAVDESS_CODES: Final[dict[int, str]] = {
    1: "neutral",
    2: "neutral",
    3: "happiness",
    4: "sadness",
    5: "anger",
    6: "fear",
    7: "disgust",
    8: "surprise",
}
"""RAVDESS's third field to ours; 2 is `calm`, which ours do not have: it is nearest to neutral."""

RAVDESS_CALM: Final = 2
"""The code that RAVDESS gives to `calm`."""

CKPLUS_ACTION_UNITS: Final[tuple[int, ...]] = (
    *(1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18),
    *(20, 21, 23, 24, 25, 26, 27, 28, 29, 31, 34, 38, 39, 43),
)
"""The 30 units that CK+ codes (Lucey et al., 2010, Table 1): not in a file means not active."""

AFFWILD2_ACTION_UNITS: Final[tuple[int, ...]] = (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)
"""The units that Aff-Wild2 labels, in its files' order, from the second challenge on."""

NEAREST_EMOTIONS: Final[dict[str, str]] = {**FER2013_NAMES, "calm": RAVDESS_CODES[RAVDESS_CALM]}
"""Other people's names, in lower case, to ours; where ours have no such expression, the nearest."""


def nearest_emotion(name: str) -> str | None:
    """Return which of `EMOTIONS` stands for another label set's name; None where none does.

    >>> nearest_emotion("Happiness"), nearest_emotion("calm"), nearest_emotion("other")
    ('happiness', 'neutral', None)
    """
    plain = name.lower()
    return plain if plain in EMOTIONS else NEAREST_EMOTIONS.get(plain)
