"""FER+ and FER2013: the protocols against their sources, and reading good and bad files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.datasets.ferplus import (
    VOTE_NAMES,
    SplitName,
    argmax_labels,
    cast_shares,
    duplicate_mask,
    find_ferplus,
    load_ferplus,
    majority_labels,
    not_face_shares,
    vote_shares,
)
from emotrace.errors import DatasetError
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS, FERPLUS_VOTE_COLUMNS
from tests.datasets.fake_ferplus import VOTES, make_rows, png, write_fake_ferplus, write_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = st.lists(st.lists(st.integers(0, 10), min_size=10, max_size=10), min_size=1, max_size=20)


def published_order(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Columns as in FER+'s own table: neutral, happiness, ..., unknown, not a face."""
    at = [EMOTIONS.index(ours) for ours in FERPLUS_VOTE_COLUMNS.values()]
    return votes[:, [*at, 8, 9]]


def microsofts_majority(counts: list[float]) -> str | None:
    """What github.com/microsoft/FERPlus, src/ferplus.py does to one row in mode `majority`."""
    counts = [0.0 if count < 1.0 + sys.float_info.epsilon else count for count in counts]
    names = [*FERPLUS_VOTE_COLUMNS, None, None]
    if max(counts) > 0.5 * sum(counts):
        return names[counts.index(max(counts))]
    return None


@settings(deadline=None)
@given(ROWS)
def test_majority_is_microsofts_rule(rows: list[list[int]]) -> None:
    votes = np.array(rows, np.int64)
    expected = [microsofts_majority(row) for row in published_order(votes).astype(float).tolist()]
    found = [EMOTIONS[at] if at >= 0 else None for at in majority_labels(votes).tolist()]
    assert found == expected


@settings(deadline=None)
@given(ROWS)
def test_argmax_is_the_first_largest_of_the_published_columns(rows: list[list[int]]) -> None:
    votes = np.array(rows, np.int64)
    names = list(FERPLUS_VOTE_COLUMNS)
    expected = [names[row.index(max(row))] for row in published_order(votes)[:, :8].tolist()]
    assert [EMOTIONS[at] for at in argmax_labels(votes).tolist()] == expected


@settings(deadline=None)
@given(ROWS)
def test_shares_are_those_of_the_votes_without_the_noise(rows: list[list[int]]) -> None:
    votes = np.array(rows, np.int64)
    shares = vote_shares(votes)
    for row, share in zip(rows, shares, strict=True):
        emotions = row[:8]
        kept = [count if count > 1 else 0 for count in emotions]
        if not any(kept):
            kept = emotions
        if not any(kept):
            assert not share.any()
        else:
            np.testing.assert_allclose(share, np.array(kept) / sum(kept), rtol=1e-6)


def test_shares_as_cast_keep_single_votes_and_leave_out_what_is_no_expression() -> None:
    votes = np.zeros((3, 10), np.int64)
    votes[0, [0, 4, 5, 8]] = 1, 4, 3, 2
    votes[1, [2, 9]] = 1, 9
    votes[2, [8, 9]] = 5, 5
    shares = cast_shares(votes)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares[0], np.array([1, 0, 0, 0, 4, 3, 0, 0]) / 8, rtol=1e-6)
    np.testing.assert_allclose(shares[1], np.eye(8)[2])
    assert not shares[2].any()
    np.testing.assert_array_equal(shares.sum(axis=1) > 0, vote_shares(votes).sum(axis=1) > 0)


def test_not_face_shares_count_all_ten_columns() -> None:
    votes = np.array([[0, 0, 0, 0, 5, 0, 0, 0, 1, 4], [0] * 10, [0] * 9 + [10]])
    np.testing.assert_allclose(not_face_shares(votes), [0.4, 0, 1], rtol=1e-6)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_ferplus(tmp_path_factory.mktemp("ferplus"))


def test_a_split_comes_back_as_it_was_written(fake: Path) -> None:
    split = load_ferplus(fake, "train")
    rows = make_rows("train", 64, 0)
    assert (len(split), split.name) == (64, "train")
    assert split.files == tuple(row["file"] for row in rows)
    assert split.images.shape == (64, 48, 48)
    assert split.images.dtype == np.uint8
    assert [png(image) for image in split.images] == [row["image"] for row in rows]
    for at, name in enumerate(VOTE_NAMES):
        assert split.votes[:, at].tolist() == [row[f"votes_{name}"] for row in rows]
    theirs = {"angry": "anger", "happy": "happiness", "sad": "sadness"}
    assert [
        None if label < 0 else FER2013_EMOTIONS[label] for label in split.fer2013_labels.tolist()
    ] == [theirs.get(row["fer2013_label"], row["fer2013_label"]) for row in rows]
    # Row i was given expression i mod 8 of the published order.
    published = list(FERPLUS_VOTE_COLUMNS)
    assert [EMOTIONS[at] for at in majority_labels(split.votes)] == [
        published[number % 8] for number in range(64)
    ]


@pytest.mark.parametrize("inside", [".", "ferplus.parquet"])
def test_the_file_is_found_where_people_keep_it(fake: Path, inside: str) -> None:
    assert find_ferplus(fake.parent / inside) == fake


def test_the_file_is_found_in_the_folder_data(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = write_fake_ferplus(tmp_path / "data", train=8, validation=8, test=8)
    assert find_ferplus(str(tmp_path)) == path


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected ferplus\.parquet at .*'data'; found none"):
        load_ferplus(tmp_path, "test")


def without(rows: list[dict[str, Any]], column: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != column} for row in rows]


@pytest.mark.parametrize("column", ["split", "image", "file", "fer2013_label", "votes_fear"])
def test_a_missing_column_is_named_in_one_line(tmp_path: Path, column: str) -> None:
    write_rows(without(make_rows("test", 8, 0), column), tmp_path)
    with pytest.raises(DatasetError, match=rf"expected the FER\+ table in .*{column}") as told:
        load_ferplus(tmp_path, "test")
    assert "\n" not in str(told.value)


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "ferplus.parquet").write_bytes(b"usage,image\n" * 50)
    with pytest.raises(DatasetError, match=r"expected the FER\+ table in .*; got: ") as told:
        load_ferplus(tmp_path, "test")
    assert "\n" not in str(told.value)


def test_a_split_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_rows(make_rows("test", 8, 0), tmp_path)
    split: SplitName = "validation"
    with pytest.raises(DatasetError, match=r"rows of split 'validation' in .*; found none"):
        load_ferplus(tmp_path, split)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("image", b"no picture", r"48 x 48 image for test/3\.png in .*; got no image"),
        ("image", b"", r"48 x 48 image for test/3\.png in .*; got no image"),
        ("image", None, r"48 x 48 image for test/3\.png in .*; got no image"),
        ("image", png(np.zeros((48, 49), np.uint8)), r"test/3\.png in .*; got \(48, 49\)"),
        ("fer2013_label", "bored", r"FER2013 labels out of angry, .*; got bored"),
        ("votes_anger", None, r"expected whole votes of 0 or more in .*; got others in 'test'"),
        ("votes_anger", -1, r"expected whole votes of 0 or more in .*; got others in 'test'"),
    ],
)
def test_a_damaged_row_is_an_error_not_a_guess(
    tmp_path: Path, column: str, value: object, told: str
) -> None:
    rows = make_rows("test", 8, 0)
    rows[3][column] = value
    write_rows(rows, tmp_path)
    with pytest.raises(DatasetError, match=told):
        load_ferplus(tmp_path, "test")


def test_duplicates_are_found_pixel_by_pixel(tmp_path: Path) -> None:
    train, test = make_rows("train", 16, 0), make_rows("test", 8, 1)
    test[2]["image"] = train[5]["image"]
    test[6]["image"] = test[2]["image"]
    almost = np.zeros((48, 48), np.uint8)
    train[0]["image"] = png(almost)
    almost[47, 47] = 1
    test[0]["image"] = png(almost)
    write_rows([*train, *test], tmp_path)
    mask = duplicate_mask(load_ferplus(tmp_path, "test"), load_ferplus(tmp_path, "train"))
    assert np.flatnonzero(mask).tolist() == [2, 6]


def test_the_fake_has_the_columns_of_the_published_table() -> None:
    assert VOTES == (
        "neutral",
        "happiness",
        "surprise",
        "sadness",
        "anger",
        "disgust",
        "fear",
        "contempt",
        "unknown",
        "not_face",
    )


@pytest.mark.shared
def test_the_real_splits_and_protocols_have_their_published_sizes(shared_folder: Path) -> None:
    train, validation, test = (
        load_ferplus(shared_folder, name) for name in ("train", "validation", "test")
    )
    assert (len(train), len(validation), len(test)) == (28_558, 3_579, 3_573)
    for split in (train, validation, test):
        assert set(split.votes.sum(axis=1).tolist()) <= set(range(1, 11))
    assert int((majority_labels(test.votes) >= 0).sum()) == 3_152
    assert int((argmax_labels(test.votes) >= 0).sum()) == 3_573
    assert int(duplicate_mask(test, train).sum()) == 288
    assert int(duplicate_mask(validation, train).sum()) == 279
    assert int((test.fer2013_labels >= 0).sum()) == 3_569
