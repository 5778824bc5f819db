"""Where data comes from: words on the command line, manifests, the drawing board."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotrace.errors import DatasetError, UsageError
from emotrace.papers.plan import Source
from emotrace.papers.supply import Supply, is_manifest, parse_data, supply
from emotrace.papers.workshop import Order, Workshop
from tests.papers.toy import TOY


@pytest.mark.parametrize("word", ["ckplus", "=CK+", "ckplus=", ""])
def test_a_word_without_name_or_root_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="NAME=ROOT"):
        parse_data([word])


def test_roots_may_hold_an_equals_sign_but_names_come_once() -> None:
    assert parse_data(["a=x=y", "b=z"]) == {"a": Path("x=y"), "b": Path("z")}
    with pytest.raises(UsageError, match="got a twice"):
        parse_data(["a=1", "a=2"])


def test_a_manifest_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("media\n")
    (tmp_path / "fer2013.csv").write_text("emotion,pixels\n")
    (tmp_path / "notes.txt").write_text("")
    assert is_manifest(tmp_path / "mine.csv")
    assert not is_manifest(tmp_path / "fer2013.csv")
    assert not is_manifest(tmp_path / "notes.txt")
    assert not is_manifest(tmp_path)
    (tmp_path / "manifest.csv").write_text("media\n")
    assert is_manifest(tmp_path)


def test_a_manifest_takes_a_data_sets_place(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "manifest.csv").write_text("media\n")
    order = Order(
        paper=TOY, scale="smoke", out=tmp_path / "out", data={"jaffe": tmp_path / "faces"}
    )
    found = supply(Workshop(order), TOY.dataset("jaffe"))
    assert (found.reader, found.origin) == ("manifest", "real")


def test_half_drawn_data_is_drawn_again(tmp_path: Path) -> None:
    order = Order(paper=TOY, scale="smoke", out=tmp_path / "out", synthetic=True)
    workshop = Workshop(order)
    half = order.out / "data" / ".jaffe.partial"
    half.mkdir(parents=True)
    (half / "rest.txt").write_text("of a call that was killed")
    found = supply(workshop, TOY.dataset("jaffe"))
    assert found.origin == "synthetic"
    assert not half.exists()
    assert not (found.root / "rest.txt").exists()
    assert len(found.read(Source(dataset="jaffe")).records) == 7


def test_other_selections_are_made_where_the_first_leave_nothing(tmp_path: Path) -> None:
    order = Order(paper=TOY, scale="smoke", out=tmp_path / "out", synthetic=True)
    found = supply(Workshop(order), TOY.dataset("jaffe"))
    long = ("labelled", "at-least-15-frames")
    with pytest.raises(DatasetError, match=r"nothing of its 7 clips is left after labelled, at-"):
        found.read(Source(dataset="jaffe", selections=long))
    chosen = found.read(Source(dataset="jaffe", selections=long, otherwise=(("labelled",),)))
    assert len(chosen.records) == 7
    assert chosen.selections == ("labelled",)
    assert chosen.left == (("read", 7), ("labelled", 7))
    (notice,) = chosen.notices
    assert "jaffe: nothing of its 7 clips is left" in notice


def test_selections_that_do_not_fit_videos_give_way(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("media,emotion\nfilm.mp4,fear\n")
    (tmp_path / "film.mp4").write_bytes(b"")
    found = Supply(name="ckplus", reader="manifest", root=tmp_path / "mine.csv", origin="real")
    source = Source(dataset="ckplus", selections=("at-least-15-frames",), otherwise=((),))
    chosen = found.read(source)
    assert [record.emotion for record in chosen.records] == ["fear"]
    assert "at-least-15-frames cannot be made" in chosen.notices[0]
