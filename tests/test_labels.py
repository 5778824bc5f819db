"""The mappings name what their data sets hold, once each, and only names of ours."""

from __future__ import annotations

import pytest

from emotrace.labels import (
    EMOTIONS,
    FER2013_EMOTIONS,
    FER2013_NAMES,
    FERPLUS_VOTE_COLUMNS,
    label_index,
)


def test_the_order_is_the_alphabet_and_never_changes() -> None:
    assert EMOTIONS == (
        "anger",
        "contempt",
        "disgust",
        "fear",
        "happiness",
        "neutral",
        "sadness",
        "surprise",
    )
    assert list(EMOTIONS) == sorted(EMOTIONS)


def test_ferplus_names_all_eight_in_the_order_of_its_own_table() -> None:
    # The header of fer2013new.csv, less usage, image name, unknown and NF.
    assert list(FERPLUS_VOTE_COLUMNS) == [
        "neutral",
        "happiness",
        "surprise",
        "sadness",
        "anger",
        "disgust",
        "fear",
        "contempt",
    ]
    assert sorted(FERPLUS_VOTE_COLUMNS.values()) == list(EMOTIONS)


def test_fer2013_names_seven_in_the_order_of_its_codes() -> None:
    # 0=Angry, 1=Disgust, 2=Fear, 3=Happy, 4=Sad, 5=Surprise, 6=Neutral in fer2013.csv.
    assert [label_index(name) for name in FER2013_NAMES.values()] == [0, 2, 3, 4, 6, 7, 5]
    assert set(EMOTIONS) - set(FER2013_NAMES.values()) == {"contempt"}


def test_fer2013_emotions_keep_our_order() -> None:
    assert tuple(name for name in EMOTIONS if name != "contempt") == FER2013_EMOTIONS


@pytest.mark.parametrize("labels", [EMOTIONS, FER2013_EMOTIONS])
def test_label_index_is_the_position(labels: tuple[str, ...]) -> None:
    assert [label_index(name, labels) for name in labels] == list(range(len(labels)))


def test_an_unknown_label_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"expected one of anger, disgust, .*; got 'contempt'"):
        label_index("contempt", FER2013_EMOTIONS)
