"""The page in a real browser, on a real server."""

from __future__ import annotations

import csv
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import pytest

from tests.browsers import open_chromium
from tests.cli.test_serve import ask, served

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.browser

DRAWN = """id => {
    const canvas = document.getElementById(id);
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.some(value => value !== 0);
}"""


@pytest.fixture(scope="module")
def camera_recording(tmp_path_factory: pytest.TempPathFactory, short_clip: Path) -> Path:
    """A face that holds still, in the form that Chromium takes for a camera."""
    path = tmp_path_factory.mktemp("camera") / "camera.y4m"
    with av.open(str(short_clip)) as source, av.open(str(path), "w", "yuv4mpegpipe") as target:
        stream = target.add_stream("wrapped_avframe", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        still = next(source.decode(video=0))
        still.pts = None
        for _ in range(10):
            target.mux(stream.encode(still))
        target.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def browser(camera_recording: Path) -> Iterator[Any]:
    camera = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with open_chromium(*camera, f"--use-file-for-fake-video-capture={camera_recording}") as browser:
        yield browser


class Visit:
    """A page that is watched for what it should not do."""

    def __init__(self, browser: Any, address: str) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.page.set_default_timeout(60_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda line: self.complaints.append(line.text) if line.type == "error" else None,
        )
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.address = address
        self.page.goto(address)

    def end(self) -> None:
        self.page.close()
        assert self.complaints == []
        foreign = [
            url for url in self.requests if not url.startswith((self.address, "data:", "blob:"))
        ]
        assert foreign == []


def until(page: Any, script: str, argument: Any = None, seconds: float = 60) -> None:
    """Wait until a function of the page says yes.

    Playwright's own way evaluates strings, which the page's policy forbids.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(script, argument):
        assert time.monotonic() < end, f"expected within {seconds} s: {script}"
        time.sleep(0.05)


def choose_haar(page: Any) -> None:
    page.locator("#settings summary").click()
    page.select_option("#setting-detector", "haar")


def test_a_video_is_dropped_in_and_watched(browser: Any, short_clip: Path, tmp_path: Path) -> None:
    with served("--folder", tmp_path / "videos") as (_, address, _):
        visit = Visit(browser, address)
        page = visit.page
        choose_haar(page)
        page.set_input_files("#file-input", str(short_clip))
        page.locator("#media").wait_for()
        (job,) = ask(f"{address}/api/jobs")["jobs"]
        assert page.url == f"{address}/#job={job['id']}"
        assert page.locator("#viewer-title").inner_text() == "clip.mp4"
        until(page, "() => document.getElementById('media').readyState >= 2")

        # Frame by frame: the picture, the text and the box are of the same moment.
        told = ask(f"{address}/api/jobs/{job['id']}/timeline")
        now = page.locator("#now")
        assert "frame 1 of 30" in now.inner_text()
        until(page, DRAWN, "overlay")
        page.locator("#timeline").focus()
        for number in (2, 3, 4):
            page.keyboard.press("ArrowRight")
            until(
                page,
                "text => document.getElementById('now').innerText.includes(text)",
                f"frame {number} of 30",
            )
        until(page, "() => !document.getElementById('media').seeking")
        at = page.evaluate("document.getElementById('media').currentTime")
        assert told["timestamps"][3] <= at < told["timestamps"][4]
        face = told["faces"][0]
        shares = dict(zip(told["emotions"], face["probabilities"][3], strict=True))
        shown = page.locator("[data-testid=now-happiness]").inner_text()
        assert shown == f"{round(shares['happiness'] * 100)}%"

        # Where there is no face, none is drawn.
        page.evaluate("document.getElementById('media').currentTime = 0.62")
        until(page, f"id => !({DRAWN})(id)", "overlay")

        rows = page.locator("#segments-table tbody tr")
        assert rows.count() == len(told["segments"])
        with page.expect_download() as download:
            page.locator("[data-testid=download][data-name='timeline.csv'] a").click()
        assert download.value.suggested_filename == "clip-timeline.csv"
        with Path(download.value.path()).open(newline="") as table:
            assert len(list(csv.reader(table))) == 31

        page.locator("#back-to-videos").click()
        page.locator("[data-testid=job-delete]").click()
        page.locator("#confirm-no").click()
        assert len(ask(f"{address}/api/jobs")["jobs"]) == 1
        page.locator("[data-testid=job-delete]").click()
        page.locator("#confirm-yes").click()
        page.locator("#jobs-empty").wait_for()
        assert ask(f"{address}/api/jobs")["jobs"] == []
        assert list((tmp_path / "videos").iterdir()) == []
        visit.end()


def test_a_file_that_is_no_video_says_so(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=alert(1)>.mp4"
    path.write_text("no pictures here\n" * 40)
    with served("--folder", tmp_path / "videos") as (_, address, _):
        visit = Visit(browser, address)
        visit.page.set_input_files("#file-input", str(path))
        error = visit.page.locator("[data-testid=job-error]")
        error.wait_for()
        assert "a video or picture; got" in error.inner_text()
        # The name is text and nothing else.
        assert visit.page.locator("#jobs img").count() == 0
        assert "_img src=x onerror=alert(1)_.mp4" in visit.page.locator("#jobs").inner_text()
        visit.end()


def test_the_report_opens_beside_the_page(browser: Any, short_clip: Path, tmp_path: Path) -> None:
    with served("--folder", tmp_path / "videos") as (_, address, _):
        visit = Visit(browser, address)
        choose_haar(visit.page)
        visit.page.set_input_files("#file-input", str(short_clip))
        link = visit.page.locator("[data-testid=download][data-name='report.html'] a")
        link.wait_for()
        with visit.page.context.expect_page() as opened:
            link.click()
        report = opened.value
        complaints: list[str] = []
        report.on("pageerror", lambda error: complaints.append(str(error)))
        report.locator(".js-plotly-plot").first.wait_for(timeout=60_000)
        assert report.locator("h2", has_text="Face 1").count() == 1
        assert complaints == []
        # An origin of its own: a report can read nothing of the server.
        assert report.evaluate("self.origin") == "null"
        report.close()
        visit.end()


def test_the_camera_is_answered_live(browser: Any, tmp_path: Path) -> None:
    with served("--folder", tmp_path / "videos") as (_, address, _):
        visit = Visit(browser, f"{address}/#live")
        visit.address = address
        page = visit.page
        page.locator("#live-start").click()
        until(page, "() => /[1-9]/.test(document.getElementById('live-fps').innerText)")
        until(page, DRAWN, "live-overlay")
        page.locator("#live-record").click()
        until(
            page,
            "() => document.getElementById('live-rows').innerText.match(/(\\d+) row/)?.[1] >= 5",
        )
        page.locator("#live-record").click()
        with page.expect_download() as download:
            page.locator("#live-save").click()
        with Path(download.value.path()).open(newline="") as table:
            rows = list(csv.DictReader(table))
        assert len(rows) >= 5
        times = [float(row["timestamp"]) for row in rows]
        assert times == sorted(times)
        assert {row["face_id"] for row in rows} == {"1"}
        assert all(0 <= float(row["happiness"]) <= 1 for row in rows if row["face_id"])
        page.locator("#live-stop").click()
        page.locator("#live-idle").wait_for()
        visit.end()


def test_a_damaged_video_stays_in_sight(browser: Any, clips_folder: Path, tmp_path: Path) -> None:
    whole = (clips_folder / "crying_then_laughing.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[:900_000])
    with served("--folder", tmp_path / "videos") as (_, address, _):
        visit = Visit(browser, address)
        page = visit.page
        choose_haar(page)
        page.set_input_files("#file-input", str(path))
        page.locator("#viewer-error").wait_for()
        assert "the end is missing" in page.locator("#viewer-error").inner_text()
        until(page, "() => document.getElementById('media').readyState >= 2")
        page.evaluate("document.getElementById('media').currentTime = 9.9")
        until(page, "() => !document.getElementById('media').seeking")
        page.locator("#play").click()
        # Chromium cannot decode the last frames that FFmpeg can.
        page.locator("#media-note").wait_for()
        said = page.locator("#media-note").inner_text()
        assert re.search(r"cannot play it beyond 0:(09|10)\.", said), said
        until(page, "() => document.getElementById('media').readyState >= 2")
        assert page.locator("#media").is_visible()
        page.locator("#segments-table tbody tr a, #segments-table tbody tr button").first.click()
        until(page, "() => document.getElementById('now').innerText.includes('frame 1 of')")
        until(page, "() => !document.getElementById('media').seeking")
        assert page.evaluate("document.getElementById('media').currentTime") < 0.1
        assert page.locator("#media-note").is_hidden()
        until(page, DRAWN, "overlay")
        visit.page.close()
