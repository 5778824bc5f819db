"""Parsing label files: what passes, and what is said of what does not."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.datasets.label_files import (
    parse_code,
    parse_decimal,
    parse_table,
    read_lines,
    require_folder,
    wrong_folder,
)
from emotrace.errors import DatasetError

HERE = Path("labels.txt")


@given(st.floats(-1, 1), st.integers(0, 9))
def test_written_numbers_come_back(value: float, digits: int) -> None:
    for text in (f"{value:.{digits}f}", f"{value:.{digits}e}"):
        assert parse_decimal(text, HERE, 1, what="x", low=-1, high=1) == float(text)


@pytest.mark.parametrize(
    "text", ["", " 0.1", "0.1 ", "nan", "inf", "0_1", "1.", ".5", "0,5", "1e", "+1", "٣", "1.01"]
)
def test_what_is_no_number_of_the_range_is_refused(text: str) -> None:
    with pytest.raises(DatasetError, match=r"^labels\.txt, line 7: expected x, a number from -1"):
        parse_decimal(text, HERE, 7, what="x", low=-1, high=1)


def test_the_code_for_no_label_is_nan() -> None:
    for text in ("-5", "-5.0"):
        assert math.isnan(parse_decimal(text, HERE, 1, what="x", low=-1, high=1, missing=-5))
    with pytest.raises(DatasetError, match="or -5 for none"):
        parse_decimal("-6", HERE, 1, what="x", low=-1, high=1, missing=-5)


@pytest.mark.parametrize("text", ["8", "-2", "01", "+1", "1.0", "", "x", "٣", "9" * 5000])
def test_codes_outside_of_the_list_are_refused(text: str) -> None:
    with pytest.raises(DatasetError, match="one of -1, 0, 1") as caught:
        parse_code(text, HERE, 3, what="an expression", codes=(0, 1, -1))
    assert len(str(caught.value)) < 250
    assert parse_code("-1", HERE, 3, what="an expression", codes=(0, 1, -1)) == -1


def test_line_ends_and_marks_of_other_systems(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\x0bstill two\r\n\r\n")
    assert read_lines(path) == ["one", "two\x0bstill two"]
    path.write_bytes(b"")
    assert read_lines(path) == []


def test_what_is_no_text_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\n\xfftree\n")
    with pytest.raises(
        DatasetError, match=r"a\.txt, line 3: expected text in UTF-8; got byte 0xff"
    ):
        read_lines(path)
    with pytest.raises(DatasetError, match="No such file"):
        read_lines(tmp_path / "b.txt")


def test_folders_are_described(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(DatasetError, match="got a file"):
        require_folder(tmp_path / "x", title="T", looked_for=["a/"])
    for number in range(9):
        (tmp_path / f"n{number}").mkdir()
    error = wrong_folder(tmp_path, title="T", looked_for=["a/", "b.csv"])
    assert "looked for a/, b.csv; found n0/, n1/, n2/, n3/, n4/, n5/ and 4 more" in str(error)


def table(lines: list[str]) -> np.ndarray:
    return parse_table(lines, HERE, 2, names=("a", "b"), separator=",", low=-1, high=1, missing=-5)


@given(st.lists(st.tuples(*[st.one_of(st.floats(-1, 1), st.just(-5.0))] * 2), max_size=20))
def test_a_table_is_what_its_cells_are(rows: list[tuple[float, float]]) -> None:
    lines = [f"{a:.6f},{b:.3e}" for a, b in rows]
    one_by_one = [
        [
            parse_decimal(cell, HERE, 1, what="x", low=-1, high=1, missing=-5)
            for cell in line.split(",")
        ]
        for line in lines
    ]
    expected = np.array(one_by_one, np.float64).reshape(-1, 2)
    np.testing.assert_array_equal(table(lines), expected)


@pytest.mark.parametrize("bad", ["0.1", "0.1,0.2,0.3", "0.1,2", "0.1,x", "", "0.1;0.2", "nan,0"])
def test_the_damaged_line_of_a_table_is_named(bad: str) -> None:
    with pytest.raises(DatasetError, match="line 4: expected"):
        table(["0,0", "-5,1", bad, "worse"])
