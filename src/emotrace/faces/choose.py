"""The table of detectors, and the choice of one."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from emotrace.errors import DetectorError, DownloadError, UsageError
from emotrace.faces.download import (
    LBP_FILE,
    PATIENT,
    QUICK,
    YUNET_FILE,
    DownloadableFile,
    FetchSettings,
    ensure_file,
)
from emotrace.faces.haar import HaarDetector
from emotrace.faces.lbp import LbpDetector
from emotrace.faces.yunet import YuNetDetector
from emotrace.storage import home_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emotrace.faces.detector import Detector

DetectorName = Literal["auto", "yunet", "haar", "lbp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorEntry:
    """One row of the table of detectors."""

    build: Callable[[Path | None], Detector]
    """Makes one with its default settings, from the file below (None where it needs none)."""
    file: DownloadableFile | None
    """What it needs from the network, once."""
    summary: str
    """What it is good for, in a few words."""


def _build_yunet(path: Path | None) -> Detector:
    return YuNetDetector(_needed(path))


def _build_haar(_path: Path | None) -> Detector:
    return HaarDetector()


def _build_lbp(path: Path | None) -> Detector:
    return LbpDetector(_needed(path))


def _needed(path: Path | None) -> Path:
    if path is None:
        raise DetectorError("expected the path of the detector's file; got None")
    return path


DETECTORS: Final[dict[str, DetectorEntry]] = {
    "yunet": DetectorEntry(
        build=_build_yunet,
        file=YUNET_FILE,
        summary="neural; profile, tilted, small and partly covered faces; landmarks",
    ),
    "haar": DetectorEntry(
        build=_build_haar,
        file=None,
        summary="upright frontal faces; needs no download",
    ),
    "lbp": DetectorEntry(
        build=_build_lbp,
        file=LBP_FILE,
        summary="upright frontal large faces; few false alarms; the detector of Salinas (2018)",
    ),
}
"""Every detector by its name. `auto` is a way to choose one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorChoice:
    """A detector, and what the user should know about how it was chosen."""

    detector: Detector
    notice: str | None
    """One line for the user where the best detector could not be had; else None."""


def choose_detector(
    name: str = "auto",
    *,
    folder: Path | None = None,
    base_url: str | None = None,
    fetch: FetchSettings | None = None,
) -> DetectorChoice:
    """Make the named detector, fetching its file where it is missing.

    `auto` means YuNet, and Haar where YuNet's file is not there and one quick try does not fetch
    it; the notice then says what that costs and how to get YuNet.

    Args:
        name: `auto` or a name in `DETECTORS`.
        folder: Where detector files lie; `emotrace.storage.home_folder()` unless given.
        base_url: A mirror that holds the files under their own names.
        fetch: How patiently to fetch; quick for `auto`, else patient, unless given.

    Raises:
        UsageError: There is no such detector; the message lists those there are.
        DownloadError: The file of a detector asked for by name cannot be had.
        DetectorError: The detector cannot be made.
    """
    if name == "auto":
        try:
            path = ensure_file(
                YUNET_FILE, folder=folder, base_url=base_url, settings=fetch or QUICK
            )
        except DownloadError as error:
            notice = _fallback_notice(folder or home_folder(), error)
            return DetectorChoice(detector=HaarDetector(), notice=notice)
        return DetectorChoice(detector=YuNetDetector(path), notice=None)
    if name not in DETECTORS:
        raise UsageError(f"expected a detector: auto, {', '.join(DETECTORS)}; got {name!r}")
    entry = DETECTORS[name]
    file_path = None
    if entry.file is not None:
        file_path = ensure_file(
            entry.file, folder=folder, base_url=base_url, settings=fetch or PATIENT
        )
    return DetectorChoice(detector=entry.build(file_path), notice=None)


def make_detector(
    name: str = "auto",
    *,
    folder: Path | None = None,
    base_url: str | None = None,
    fetch: FetchSettings | None = None,
) -> Detector:
    """Make a detector as `choose_detector` does; its notice, if any, is raised as a `UserWarning`.

    Raises:
        UsageError: There is no such detector.
        DownloadError: The file of a detector asked for by name cannot be had.
        DetectorError: The detector cannot be made.
    """
    choice = choose_detector(name, folder=folder, base_url=base_url, fetch=fetch)
    if choice.notice is not None:
        warnings.warn(choice.notice, UserWarning, stacklevel=2)
    return choice.detector


def _fallback_notice(folder: Path, error: DownloadError) -> str:
    # That the network was not there is no news; that a file is there but damaged is.
    why = f" ({error})" if (folder / YUNET_FILE.name).exists() else ""
    return (
        "the YuNet face detector is not here, so the Haar detector is used: faces turned to "
        "profile, tilted or small are missed, there are no landmarks, and false alarms are more "
        "frequent; to get YuNet run `emotrace bundles download` where there is a network, or copy "
        f"{YUNET_FILE.name} into {folder}{why}"
    )
