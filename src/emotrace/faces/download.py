"""Files that a detector needs and the package does not hold: fetched once, verified on every use.

They lie in `emotrace.storage.home_folder()` under their own names, so that a machine without a
network needs nothing but a copy of them there.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emotrace.errors import DownloadError, OutputError
from emotrace.storage import HOME_VARIABLE, atomic_path, ensure_folder, home_folder

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadableFile:
    """A file on the network, and how to know that it arrived whole."""

    name: str
    """The file's own name; it keeps it in the download folder."""
    url: str
    sha256: str
    size_bytes: int
    licence: str
    origin: str
    """Who made it, in words."""


YUNET_FILE: Final = DownloadableFile(
    name="face_detection_yunet_2023mar.onnx",
    url=(
        "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
        "face_detection_yunet_2023mar.onnx"
    ),
    sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    size_bytes=232_589,
    licence="MIT",
    origin="OpenCV Zoo: YuNet (Wu, Peng, Yu 2023), weights of March 2023",
)

LBP_FILE: Final = DownloadableFile(
    name="lbpcascade_frontalface_improved.xml",
    url=(
        "https://github.com/opencv/opencv/raw/4.x/data/lbpcascades/"
        "lbpcascade_frontalface_improved.xml"
    ),
    sha256="b035fe1a8b659dce43d3a8b11701e19afe0323aef57ee74bc53c5b687ff2531b",
    size_bytes=52_570,
    licence="BSD-3-Clause style (in the file's head)",
    origin="OpenCV: LBP cascade of Puttemans, Ergun and Goedeme (2017)",
)

DETECTOR_FILES: Final[dict[str, DownloadableFile]] = {"yunet": YUNET_FILE, "lbp": LBP_FILE}
"""By the name of the detector that needs the file. Haar needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """How patiently a file is fetched."""

    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 30.0
    """Longest silence of the server, not the length of the whole transfer."""
    retries: int = 3
    """Further attempts after the first one."""


PATIENT: Final = FetchSettings()
"""For a file that was asked for."""
QUICK: Final = FetchSettings(connect_timeout_seconds=2.0, read_timeout_seconds=5.0, retries=0)
"""For a file that would be nice to have: without a network the answer comes within seconds."""


def is_available(file: DownloadableFile, *, folder: Path | None = None) -> bool:
    """Say whether a file lies in the download folder, whole; never touches the network.

    A damaged file counts as missing here; `ensure_file` says what is wrong with it.
    """
    path = (folder or home_folder()) / file.name
    return path.is_file() and _sha256_of(path) == file.sha256


def ensure_file(
    file: DownloadableFile,
    *,
    folder: Path | None = None,
    base_url: str | None = None,
    settings: FetchSettings = PATIENT,
    copy_from: Path | None = None,
) -> Path:
    """Return the path of a verified file, fetching it if it is not there.

    Several processes may do so at once: each fetches into a file of its own, which takes the final
    name in one step when it is whole.

    Args:
        file: Which.
        folder: Where it lies or shall lie; the download folder unless given.
        base_url: Fetch `base_url/name` (a mirror) in place of the file's own address.
        settings: How patiently.
        copy_from: A folder that may hold the file; a whole one there is copied, not fetched.

    Raises:
        DownloadError: It is damaged or could not be fetched; the message says what to do.
    """
    is_chosen, folder = folder is not None, folder or home_folder()
    path = folder / file.name
    if path.is_file():
        return _verified(path, file)
    url = file.url if base_url is None else f"{base_url.rstrip('/')}/{file.name}"
    try:
        ensure_folder(folder)
    except OutputError as error:
        remedy = (
            "choose another folder with --to"
            if is_chosen
            else f"set {HOME_VARIABLE} to a folder that can, or copy the file there from {url}"
        )
        raise DownloadError(
            f"expected to put {file.name} into {folder}, which cannot be written to; {remedy}"
        ) from error
    if copy_from is not None and is_available(file, folder=copy_from):
        _copy(copy_from / file.name, path)
    else:
        _fetch(file, url, folder, settings)
    return _verified(path, file)


def _copy(source: Path, target: Path) -> None:
    try:
        with atomic_path(target) as partial:
            shutil.copyfile(source, partial)
    except OutputError as error:
        raise DownloadError(f"expected to copy {source}; {error}") from error


def _fetch(file: DownloadableFile, url: str, folder: Path, settings: FetchSettings) -> None:
    # requests takes 0.1 s to import: only a download pays for it.
    import pooch
    import requests

    # pooch prints every step on stderr at its own level; ours is logged below.
    pooch.get_logger().setLevel("ERROR")
    _LOG.info("fetching %s (%d bytes) from %s", file.name, file.size_bytes, url)
    fetcher = pooch.create(
        path=folder,
        base_url="",
        registry={file.name: f"sha256:{file.sha256}"},
        urls={file.name: url},
        retry_if_failed=settings.retries,
    )
    timeout = (settings.connect_timeout_seconds, settings.read_timeout_seconds)

    def stream_to_file(address: str, output_path: str, _pooch: object) -> None:
        # pooch's own downloader leaves the connection open where the server answers with an error.
        with (
            requests.get(address, timeout=timeout, stream=True) as response,
            Path(output_path).open("wb") as stream,
        ):
            response.raise_for_status()
            stream.writelines(response.iter_content(chunk_size=1 << 16))

    try:
        fetcher.fetch(file.name, downloader=stream_to_file)
    except (requests.exceptions.RequestException, ValueError, OSError) as error:
        raise DownloadError(
            f"expected to fetch {file.name} ({file.size_bytes} bytes) from {url}; "
            f"got: {_one_line(error)}; check the network, or copy the file "
            f"(sha256 {file.sha256}) into {folder}"
        ) from error


def _verified(path: Path, file: DownloadableFile) -> Path:
    got = _sha256_of(path)
    if got != file.sha256:
        raise DownloadError(
            f"expected {path} to have sha256 {file.sha256}; got {got} "
            f"({path.stat().st_size} bytes, not {file.size_bytes}); delete it, so that it is "
            "fetched again"
        )
    return path


def _sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _one_line(error: BaseException) -> str:
    import requests

    # requests quotes its whole inner life here; the address is in our message already.
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no connection, or it broke off"
    text = " ".join(str(error).split()) or type(error).__name__
    # A wrong hash is pooch's only ValueError; its own text asks the user to update a registry.
    if isinstance(error, ValueError) and "hash" in text:
        return "a file with another sha256"
    return text if len(text) <= 300 else text[:297] + "..."
