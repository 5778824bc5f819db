from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from emotrace.errors import DetectorError, DownloadError, UsageError
from emotrace.faces.choose import DETECTORS, choose_detector, make_detector
from emotrace.faces.download import YUNET_FILE

if TYPE_CHECKING:
    from pathlib import Path

# Port 9 (discard) refuses connections at once on any machine worth testing on.
NOWHERE = "http://127.0.0.1:9"


def test_auto_falls_back_to_haar_and_says_so(tmp_path: Path) -> None:
    start = time.monotonic()
    choice = choose_detector("auto", folder=tmp_path, base_url=NOWHERE)
    assert time.monotonic() - start < 5
    assert choice.detector.name == "haar"
    assert choice.notice is not None
    for part in (
        "profile",
        "landmarks",
        "emotrace bundles download",
        YUNET_FILE.name,
        str(tmp_path),
    ):
        assert part in choice.notice
    assert "\n" not in choice.notice


def test_making_a_fallback_warns(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="YuNet"):
        detector = make_detector("auto", folder=tmp_path, base_url=NOWHERE)
    assert detector.name == "haar"


def test_auto_names_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / YUNET_FILE.name).write_bytes(b"half a file")
    choice = choose_detector("auto", folder=tmp_path, base_url=NOWHERE)
    assert choice.detector.name == "haar"
    assert choice.notice is not None
    assert "delete it" in choice.notice


@pytest.mark.shared
def test_auto_prefers_yunet(yunet_home: Path) -> None:
    choice = choose_detector("auto", base_url=NOWHERE)
    assert yunet_home.is_dir()
    assert choice.detector.name == "yunet"
    assert choice.notice is None


@pytest.mark.parametrize("name", ["yunet", "lbp"])
def test_a_detector_asked_for_by_name_is_not_replaced(name: str, tmp_path: Path) -> None:
    file = DETECTORS[name].file
    assert file is not None
    (tmp_path / file.name).write_bytes(b"damaged")
    with pytest.raises(DownloadError, match=file.name):
        choose_detector(name, folder=tmp_path, base_url=NOWHERE)


def test_haar_needs_no_file(tmp_path: Path) -> None:
    assert choose_detector("haar", folder=tmp_path / "missing", base_url=NOWHERE).notice is None
    assert not (tmp_path / "missing").exists()


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match="auto, yunet, haar, lbp; got 'mtcnn'"):
        choose_detector("mtcnn")


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_every_row_of_the_table_is_complete(name: str) -> None:
    entry = DETECTORS[name]
    assert entry.summary
    if entry.file is None:
        assert entry.build(None).name == name
    else:
        with pytest.raises(DetectorError):
            entry.build(None)
