"""Fetching over real HTTP from this machine itself."""

from __future__ import annotations

import hashlib
import http.server
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import pytest

from emotrace.errors import DownloadError
from emotrace.faces.download import (
    DETECTOR_FILES,
    DownloadableFile,
    FetchSettings,
    ensure_file,
    is_available,
)
from emotrace.storage import home_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = bytes(range(256)) * 40
FILE = DownloadableFile(
    name="weights.onnx",
    url="http://127.0.0.1:9/never-asked/weights.onnx",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size_bytes=len(CONTENT),
    licence="none",
    origin="a test",
)
ONCE = FetchSettings(connect_timeout_seconds=2, read_timeout_seconds=2, retries=0)


@dataclass
class Site:
    """A web site of this test's own, and how it behaves."""

    url: str = ""
    behaviour: str = "ok"
    asked: list[str] = field(default_factory=list)
    failures_first: int = 0


class _Handler(http.server.BaseHTTPRequestHandler):
    site: ClassVar[Site]

    def do_GET(self) -> None:
        site = self.site
        site.asked.append(self.path)
        behaviour = site.behaviour
        if len(site.asked) <= site.failures_first:
            behaviour = "missing"
        if behaviour == "missing":
            self.send_error(404)
            return
        body = CONTENT[::-1] if behaviour == "damaged" else CONTENT
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 3] if behaviour == "dropped" else body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    handler = type("Handler", (_Handler,), {"site": site})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        site.url = f"http://127.0.0.1:{server.server_port}/files"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        server.shutdown()
        thread.join()


def test_a_missing_file_is_fetched_once(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    assert not is_available(FILE, folder=folder)
    path = ensure_file(FILE, folder=folder, base_url=site.url + "/")
    assert path == folder / FILE.name
    assert path.read_bytes() == CONTENT
    assert is_available(FILE, folder=folder)
    assert ensure_file(FILE, folder=folder, base_url=site.url) == path
    assert site.asked == ["/files/weights.onnx"]
    assert [item.name for item in folder.iterdir()] == [FILE.name]


def test_the_download_folder_is_the_default(site: Site) -> None:
    try:
        assert ensure_file(FILE, base_url=site.url) == home_folder() / FILE.name
    finally:
        (home_folder() / FILE.name).unlink()


def test_a_copy_by_hand_is_found_without_a_network(tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_bytes(CONTENT)
    assert ensure_file(FILE, folder=tmp_path) == tmp_path / FILE.name


def test_a_damaged_copy_is_named_and_left_alone(site: Site, tmp_path: Path) -> None:
    path = tmp_path / FILE.name
    path.write_bytes(b"something else")
    assert not is_available(FILE, folder=tmp_path)
    with pytest.raises(DownloadError) as caught:
        ensure_file(FILE, folder=tmp_path, base_url=site.url)
    got = hashlib.sha256(b"something else").hexdigest()
    for part in (str(path), FILE.sha256, got, "delete it"):
        assert part in str(caught.value)
    assert path.read_bytes() == b"something else"
    assert site.asked == []


@pytest.mark.parametrize(
    ("behaviour", "says"), [("missing", "404"), ("damaged", "another sha256"), ("dropped", "")]
)
def test_what_does_not_arrive_whole_is_not_kept(
    site: Site, tmp_path: Path, behaviour: str, says: str
) -> None:
    site.behaviour = behaviour
    with pytest.raises(DownloadError) as caught:
        ensure_file(FILE, folder=tmp_path, base_url=site.url, settings=ONCE)
    message = str(caught.value)
    for part in (FILE.name, site.url, FILE.sha256, str(tmp_path), says):
        assert part in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_a_passing_failure_is_retried(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    site.failures_first = 2
    path = ensure_file(FILE, folder=tmp_path, base_url=site.url, settings=FetchSettings(retries=2))
    assert path.read_bytes() == CONTENT
    assert len(site.asked) == 3


def test_offline_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        ensure_file(FILE, folder=tmp_path, settings=ONCE)
    for part in (FILE.url, FILE.name, FILE.sha256, str(tmp_path), "copy the file"):
        assert part in str(caught.value)


def test_several_at_once_all_get_the_whole_file(site: Site, tmp_path: Path) -> None:
    def fetch(_number: int) -> bytes:
        return ensure_file(FILE, folder=tmp_path, base_url=site.url).read_bytes()

    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(fetch, range(8)))
    assert contents == [CONTENT] * 8
    assert [item.name for item in tmp_path.iterdir()] == [FILE.name]


def test_a_folder_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    with pytest.raises(DownloadError, match=r"inside, which .* choose another folder with --to$"):
        ensure_file(FILE, folder=blocker / "inside", settings=ONCE)
    monkeypatch.setenv("EMOTRACE_HOME", str(blocker / "home"))
    with pytest.raises(DownloadError, match=r"home, which .* set EMOTRACE_HOME"):
        ensure_file(FILE, settings=ONCE)


@pytest.mark.shared
@pytest.mark.parametrize("name", sorted(DETECTOR_FILES))
def test_the_real_files_have_the_stated_hashes(name: str, yunet_home: Path) -> None:
    file = DETECTOR_FILES[name]
    path = ensure_file(file)
    assert path.parent == yunet_home
    assert path.stat().st_size == file.size_bytes
    assert file.url.endswith(file.name)
