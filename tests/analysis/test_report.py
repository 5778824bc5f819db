from __future__ import annotations

import base64
import dataclasses
import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from emotrace.analysis import report
from emotrace.analysis.report import ReportThumbnail, choose_thumbnails, write_report
from emotrace.analysis.report_data import (
    DISPLAY_ORDER,
    MAX_FACES,
    MAX_POINTS,
    MAX_SEGMENTS,
    MAX_UNCERTAIN,
    chart_data,
)
from emotrace.analysis.report_sections import clock
from emotrace.analysis.segments import find_segments
from emotrace.analysis.smoothing import SmoothingSettings
from emotrace.analysis.summary import summarize
from emotrace.errors import OutputError, UsageError
from emotrace.labels import EMOTIONS
from tests.analysis.timelines import array_table, make_facts, make_table, probabilities_of
from tests.browsers import open_chromium

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from emotrace.timeline import Segment

EVIL = "<script>document.title='owned'</script>"
STEP = 0.04


def make_thumbnail(segment: Segment) -> ReportThumbnail:
    return ReportThumbnail(
        face_id=segment.face_id,
        timestamp_seconds=segment.peak_timestamp_seconds,
        emotion=segment.emotion,
        confidence=segment.mean_confidence,
        image_rgb=np.full((200, 160, 3), (200, 30, 40), dtype=np.uint8),
    )


def make_inputs(
    faces: Sequence[Mapping[int, np.ndarray]],
    *,
    is_still: bool = False,
    name: str = "clip.mp4",
    threshold: float | None = None,
) -> dict[str, Any]:
    """The arguments of `write_report` for frames `STEP` seconds apart."""
    table = make_table([STEP * i for i in range(len(faces))], faces)
    return inputs_of(table, len(faces), is_still=is_still, name=name, threshold=threshold)


def inputs_of(
    table: pa.Table,
    frame_count: int,
    *,
    is_still: bool = False,
    name: str = "clip.mp4",
    threshold: float | None = None,
) -> dict[str, Any]:
    duration = 0.0 if is_still else STEP * frame_count
    facts = dataclasses.replace(
        make_facts(frame_count=frame_count, duration_seconds=duration, path=name),
        is_still_image=is_still,
        notes=(f"a note {EVIL}",),
    )
    segments = find_segments(table, smoothing=None if is_still else SmoothingSettings())
    summary = summarize(
        table,
        facts,
        settings={"name": EVIL},
        bundle={
            "name": f"bundle {EVIL}",
            "licence": "Apache-2.0",
            "uncertain_threshold": threshold,
        },
        detector=f"haar {EVIL}",
    )
    return {
        "table": table,
        "segments": segments,
        "summary": summary,
        "thumbnails": [make_thumbnail(segment) for segment in segments],
        "bundle_card": f"# Card {EVIL}",
    }


def two_faces() -> list[dict[int, np.ndarray]]:
    """Four seconds: face 1 neutral, then happy; face 2 surprised, away for a second in the
    middle."""
    happy, neutral = probabilities_of("happiness", 0.9), probabilities_of("neutral", 0.7)
    surprised = probabilities_of("surprise", 0.8)
    return [
        {1: neutral if i < 50 else happy, **({} if 35 <= i < 60 else {2: surprised})}
        for i in range(100)
    ]


def random_faces(count: int, ids: range, seed: int = 0) -> list[dict[int, np.ndarray]]:
    rng = np.random.default_rng(seed)
    drawn = rng.dirichlet(np.full(8, 0.4), size=(count, len(ids))).astype(np.float32)
    return [dict(zip(ids, row, strict=True)) for row in drawn]


def own_html(page: str) -> str:
    """The page without Plotly's script."""
    return max(re.split(r"<script>", page), key=lambda part: "report-data" in part)


def page_data(page: str) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', page)
    assert match is not None
    data: dict[str, Any] = json.loads(match.group(1))
    return data


# --- the numbers


def test_charts_show_every_frame_of_a_short_clip() -> None:
    inputs = make_inputs(two_faces())
    charts = chart_data(inputs["table"], inputs["segments"], inputs["summary"])
    assert charts.omissions == ()
    assert charts.face_ids == (1, 2)
    first, second = charts.page["faces"]
    measured = [i for i, edge in enumerate(first["edge"]) if not edge]
    assert len(measured) == 100
    for name, curve in zip(DISPLAY_ORDER, first["p"], strict=True):
        expected = [faces[1][EMOTIONS.index(name)] * 1000 for faces in two_faces()]
        assert [curve[i] for i in measured] == pytest.approx(expected, abs=0.51)
    assert [first["t"][i] for i in measured] == pytest.approx([STEP * i for i in range(100)])
    # Face 2 is away from 1.4 s to 2.4 s: a closing and an opening edge, besides those at both ends.
    edges = [t for t, edge in zip(second["t"], second["edge"], strict=True) if edge]
    assert edges == pytest.approx([0.0, 1.4, 1.4, 2.4, 4.0, 4.0])
    assert second["t"] == sorted(second["t"])
    # The last frame before an absence (at 1.36 s) is held until it is replaced, at 1.4 s.
    held = [i for i, edge in enumerate(second["edge"]) if edge == 2]
    assert [second["t"][i] for i in held] == pytest.approx([1.4, 4.0])
    assert all(
        curve[i] == curve[i - 1] and curve[i - 1] is not None and second["edge"][i + 1] == 1
        for curve in (*second["p"], second["v"], second["a"])
        for i in held
    )
    assert all(
        (curve[i] is None) == (second["edge"][i] == 1)
        for curve in (*second["p"], second["v"], second["a"])
        for i in range(len(second["t"]))
    )
    assert second["segments"][0][:3] == [0.0, 1.4, DISPLAY_ORDER.index("surprise")]


def test_long_inputs_are_thinned_for_drawing_and_the_means_stay() -> None:
    drawn = np.random.default_rng(0).dirichlet(np.full(8, 0.4), size=(20_000, 1))
    inputs = inputs_of(array_table(np.arange(20_000) * STEP, drawn), 20_000)
    charts = chart_data(inputs["table"], [], inputs["summary"])
    (face,) = charts.page["faces"]
    assert 0.5 * MAX_POINTS <= len(face["t"]) <= MAX_POINTS + 3
    assert any("for drawing only" in note for note in charts.omissions)
    sums = np.sum([[v for v in curve if v is not None] for curve in face["p"]], axis=0)
    np.testing.assert_allclose(sums, 1000, atol=5)
    for name, curve in zip(DISPLAY_ORDER, face["p"], strict=True):
        drawn = np.mean([v for v in curve if v is not None])
        assert drawn == pytest.approx(np.mean(inputs["table"][name]) * 1000, abs=2)


def test_a_face_that_flickers_in_and_out_does_not_fill_the_page() -> None:
    happy = np.broadcast_to(probabilities_of("happiness"), (80_000, 1, 8))
    frames = np.arange(80_000)
    inputs = inputs_of(array_table(frames * STEP, happy, frames % 40 < 2), 80_000)
    charts = chart_data(inputs["table"], inputs["segments"], inputs["summary"])
    (face,) = charts.page["faces"]
    assert len(face["t"]) <= 2 * MAX_POINTS
    assert len(face["segments"]) <= MAX_SEGMENTS


def test_faces_and_segments_beyond_the_cap_are_left_out_and_that_is_said() -> None:
    ids = range(1, MAX_FACES + 7)
    faces = random_faces(30, ids)
    for frame in faces[5:]:
        for face_id in (2, 4, 6, 8, 10, 12):  # present for a shorter time than the others
            del frame[face_id]
    inputs = make_inputs(faces)
    short = find_segments(inputs["table"], smoothing=None, min_duration_seconds=0)
    charts = chart_data(inputs["table"], short * 10, inputs["summary"])
    assert charts.face_ids == tuple(i for i in ids if i not in {2, 4, 6, 8, 10, 12})
    assert any(f"for the {MAX_FACES} faces" in note for note in charts.omissions)
    assert sum(len(face["segments"]) for face in charts.page["faces"]) <= MAX_SEGMENTS
    assert any("longest segments" in note for note in charts.omissions)


def test_pictures_of_the_longest_segments_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_THUMBNAILS", 2)
    inputs = make_inputs(two_faces())
    kept, note = choose_thumbnails(inputs["thumbnails"], inputs["segments"], (1, 2))
    lengths = sorted((s.end_seconds - s.start_seconds for s in inputs["segments"]), reverse=True)
    by_peak = {(s.face_id, s.peak_timestamp_seconds): s for s in inputs["segments"]}
    kept_segments = [by_peak[p.face_id, p.timestamp_seconds] for p in kept]
    assert sorted(
        (s.end_seconds - s.start_seconds for s in kept_segments), reverse=True
    ) == pytest.approx(lengths[:2])
    assert note == "2 of 4 pictures are shown, those of the longest segments."
    assert choose_thumbnails(inputs["thumbnails"][:1], inputs["segments"], (1, 2))[1] == ""


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0:00.0"),
        (59.96, "1:00.0"),
        (75.24, "1:15.2"),
        (3600, "1:00:00.0"),
        (-1, "\N{MINUS SIGN}0:01.0"),
    ],
)
def test_clock(seconds: float, expected: str) -> None:
    assert clock(seconds) == expected


# --- what is uncertain


def unsure_faces() -> list[dict[int, np.ndarray]]:
    """Two faces for 4 s: face 1 unsure from 1 to 2 s and in one frame, face 2 (away from 1.4 to
    2.4 s) throughout."""
    sure, unsure = probabilities_of("neutral", 0.7), probabilities_of("happiness", 0.4)
    return [
        {
            1: unsure if 25 <= i < 50 or i == 75 else sure,
            **({} if 35 <= i < 60 else {2: unsure}),
        }
        for i in range(100)
    ]


def test_uncertain_stretches_end_where_the_face_goes_away() -> None:
    inputs = make_inputs(unsure_faces(), threshold=0.5)
    charts = chart_data(inputs["table"], inputs["segments"], inputs["summary"])
    first, second = charts.page["faces"]
    assert np.array(first["uncertain"]) == pytest.approx(np.array([[1.0, 2.0], [3.0, 3.04]]))
    assert np.array(second["uncertain"]) == pytest.approx(np.array([[0.0, 1.4], [2.4, 4.0]]))
    drawn = sum(end - start for start, end in first["uncertain"])
    assert drawn / 4 == pytest.approx(inputs["summary"]["faces"][0]["uncertain_share"])
    # At the threshold itself a prediction is sure.
    at = float(inputs["table"]["happiness"][60].as_py())
    inputs["summary"]["bundle"]["uncertain_threshold"] = at
    charts = chart_data(inputs["table"], inputs["segments"], inputs["summary"])
    assert [face["uncertain"] for face in charts.page["faces"]] == [[], []]


def test_the_page_says_how_much_is_uncertain(tmp_path: Path) -> None:
    page = write_report(tmp_path / "a.html", **make_inputs(unsure_faces(), threshold=0.5))
    own = own_html(page.read_text(encoding="utf-8"))
    assert "Uncertain for 26% of its time." in own
    assert "Uncertain for 100% of its time." in own
    assert "has less than 50% counts as uncertain and is hatched" in own
    assert '<td class="number">26%</td>' in own
    # A bundle without a threshold calls nothing uncertain.
    page = write_report(tmp_path / "b.html", **make_inputs(unsure_faces()))
    shown = own_html(page.read_text(encoding="utf-8")).split("<body>")[1].split('id="details"')[0]
    assert "Face 2" in shown
    assert "ncertain" not in shown
    assert "hatched" not in shown


@pytest.mark.parametrize(("threshold", "said"), [(0.7, True), (0.6, False)])
def test_a_still_image_says_whether_it_is_uncertain(
    threshold: float, said: bool, tmp_path: Path
) -> None:
    inputs = make_inputs([{1: probabilities_of("fear", 0.65)}], is_still=True, threshold=threshold)
    own = own_html(write_report(tmp_path / "a.html", **inputs).read_text(encoding="utf-8"))
    assert ("fear, 65%</span>, uncertain." in own) == said
    assert "hatched" not in own.split("<body>")[1].split('id="details"')[0]


def test_very_many_uncertain_stretches_are_not_all_drawn() -> None:
    happy = np.broadcast_to(probabilities_of("happiness", 0.9), (12_000, 1, 8)).copy()
    happy[::2] = probabilities_of("happiness", 0.4)
    inputs = inputs_of(array_table(np.arange(12_000) * STEP, happy), 12_000, threshold=0.5)
    charts = chart_data(inputs["table"], inputs["segments"], inputs["summary"])
    (face,) = charts.page["faces"]
    assert len(face["uncertain"]) == MAX_UNCERTAIN
    assert any(f"the {MAX_UNCERTAIN} longest stretches" in note for note in charts.omissions)


# --- the page


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    inputs = make_inputs(two_faces(), name=f"folder/{EVIL.replace('/', '')}.mp4")
    return write_report(folder / "clip.html", **inputs)


def test_the_page_is_whole_and_small(page_path: Path) -> None:
    page = page_path.read_text(encoding="utf-8")
    assert page_path.stat().st_size < 6e6
    assert "{{" not in own_html(page).split("report-data")[0]
    references = re.findall(r'(?:src|href)="([^"]*)"', own_html(page))
    assert references
    assert all(r.startswith(("data:", "#")) for r in references)
    assert "default-src 'none'" in page
    assert [face["id"] for face in page_data(page)["faces"]] == [1, 2]


def test_nothing_from_outside_becomes_markup(page_path: Path) -> None:
    own = own_html(page_path.read_text(encoding="utf-8"))
    assert "<script>document" not in own
    assert own.count("&lt;script&gt;document.title=") >= 6  # name, note, model, detector, card, ...


def test_the_card_is_readable(page_path: Path) -> None:
    own = own_html(page_path.read_text(encoding="utf-8"))
    assert f"<h3>Card {html.escape(EVIL)}</h3>" in own


def test_notes_and_numbers_are_readable(tmp_path: Path) -> None:
    inputs = make_inputs(two_faces(), threshold=0.24199761463370695)
    inputs["summary"]["notices"] = ["use `--all` for <all> of a*b*c"]
    own = own_html(write_report(tmp_path / "a.html", **inputs).read_text(encoding="utf-8"))
    assert "<dd>0.242</dd>" in own
    assert "Use <code>--all</code> for &lt;all&gt; of a*b*c" in own


def test_shares_and_segments_are_told_apart(page_path: Path) -> None:
    assert "Segments are smoothed and merged" in own_html(page_path.read_text(encoding="utf-8"))


def test_the_path_may_be_text(tmp_path: Path) -> None:
    path = write_report(f"{tmp_path}/none.html", **make_inputs([{}]))
    assert path == tmp_path / "none.html"
    assert path.is_file()


def test_pictures_are_small_jpegs(page_path: Path) -> None:
    page = page_path.read_text(encoding="utf-8")
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert len(pictures) == 4
    image = cv2.imdecode(np.frombuffer(base64.b64decode(pictures[0]), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (144, 115, 3)
    np.testing.assert_allclose(image.mean(axis=(0, 1)), (40, 30, 200), atol=4)  # blue, green, red


def test_a_video_without_faces_gets_a_friendly_page(tmp_path: Path) -> None:
    path = write_report(tmp_path / "none.html", **make_inputs([{}] * 10))
    page = path.read_text(encoding="utf-8")
    assert "No face was found" in page
    assert "any of the 10 frames" in page
    assert path.stat().st_size < 100_000  # no charts, so no Plotly


def test_a_still_image_shows_probabilities_instead_of_time(tmp_path: Path) -> None:
    inputs = make_inputs([{1: probabilities_of("fear", 0.65)}], is_still=True, name="face.png")
    page = write_report(tmp_path / "still.html", **inputs).read_text(encoding="utf-8")
    (face,) = page_data(page)["faces"]
    assert face["shares"]["fear"] == pytest.approx(0.65, abs=1e-3)
    assert face["shares"]["anger"] == pytest.approx(0.05, abs=1e-3)
    own = own_html(page)
    assert 'data-kind="time"' not in own
    assert "fear, 65%" in own


@pytest.mark.parametrize("shape", [(10, 10), (10, 10, 4), (0, 10, 3)])
def test_a_thumbnail_of_another_kind_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    inputs = make_inputs(two_faces())
    bad = dataclasses.replace(inputs["thumbnails"][0], image_rgb=np.zeros(shape, np.uint8))
    with pytest.raises(UsageError, match="thumbnail of shape") as caught:
        write_report(tmp_path / "x.html", **{**inputs, "thumbnails": [bad]})
    assert str(shape) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="expected to write"):
        write_report(tmp_path / "nowhere" / "x.html", **make_inputs([{}]))


# --- the page in a browser


class _Visit:
    """A page that is open in a browser, with everything that it complained about or asked for."""

    def __init__(self, page: Any, path: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())

    def check_quiet(self, path: Path) -> None:
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith("data:")] == [path.as_uri()]

    def zoomed_to(self, face_id: int) -> list[float]:
        seconds: list[float] = self.page.evaluate(
            f"""document.querySelector('.chart-time[data-face="{face_id}"]')._fullLayout.xaxis.range
                .map(v => (new Date(v.replace(' ', 'T') + 'Z') - Date.UTC(2000, 0, 1)) / 1000)"""
        )
        return seconds


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_chromium() as browser:
        yield browser


@pytest.mark.browser
def test_the_page_works_in_a_browser(browser: Any, page_path: Path) -> None:
    visit = _Visit(browser.new_page(viewport={"width": 1280, "height": 900}), page_path)
    page = visit.page
    for chart in page.locator(".chart").all():
        chart.scroll_into_view_if_needed()
    page.locator(".js-plotly-plot").nth(6).wait_for()
    assert page.title().startswith("<script>document.title='owned'")
    assert page.locator("h2").all_inner_texts() == [
        "At a glance",
        "Face 1",
        "Face 2",
        "How to read this",
        "The model",
        "Settings and versions",
    ]
    assert page.locator("#face-1 .thumb").count() == 2
    ribbon = page.locator("#overview .bars .point").count()
    assert ribbon == 4

    assert visit.zoomed_to(2) == pytest.approx([0, 4], abs=0.01)
    reset = page.locator("button[data-reset='2']")
    assert not reset.is_visible()
    # By keyboard, as the pictures are buttons: a second around the second peak of face 2, at 2.4 s.
    page.locator("#face-2 .thumb").nth(1).press("Enter")
    reset.wait_for(state="visible")
    assert visit.zoomed_to(2) == pytest.approx([1.4, 3.4], abs=0.01)
    reset.click()
    reset.wait_for(state="hidden")
    assert visit.zoomed_to(2) == pytest.approx([0, 4], abs=0.01)

    stacked = page.evaluate("document.querySelector('.chart-time').data[0].stackgroup")
    page.check("input[value=lines]")
    lines = page.evaluate("document.querySelector('.chart-time').data[0].stackgroup || null")
    assert (stacked, lines) == ("p", None)
    light = page.evaluate("document.querySelector('.chart-time').layout.paper_bgcolor")
    page.click("#theme")
    dark = page.evaluate("document.querySelector('.chart-time').layout.paper_bgcolor")
    assert (light, dark) == ("#ffffff", "#1d2129")
    visit.check_quiet(page_path)


@pytest.mark.browser
def test_uncertain_stretches_are_hatched(browser: Any, tmp_path: Path) -> None:
    path = write_report(tmp_path / "a.html", **make_inputs(unsure_faces(), threshold=0.5))
    visit = _Visit(browser.new_page(viewport={"width": 1280, "height": 900}), path)
    visit.page.locator(".chart-time .js-plotly-plot, .chart-time.js-plotly-plot").first.wait_for()
    assert visit.page.locator("#overview pattern").count() == 2  # one for each face
    sides = visit.page.evaluate(
        """[...document.querySelectorAll('#overview .trace.bars')].map(trace =>
            [...trace.querySelectorAll('.point')].map(bar => bar.getBoundingClientRect())
                .map(box => [box.left, box.right, box.top, box.bottom]))"""
    )
    (segments, hatched) = sides[:2]
    assert len(hatched) == 2
    assert hatched[0][0] == pytest.approx(segments[1][0], abs=12)  # happiness from 1 s on
    assert hatched[0][2] >= segments[0][3] - 1  # below the segments
    visit.check_quiet(path)


@pytest.mark.browser
@pytest.mark.parametrize("size", ["A4", "Letter"])
def test_paper_shows_the_legend_and_a_face_on_each_page(
    browser: Any, tmp_path: Path, size: str
) -> None:
    path = write_report(tmp_path / "a.html", **make_inputs(unsure_faces(), threshold=0.5))
    visit = _Visit(browser.new_page(viewport={"width": 1280, "height": 900}), path)
    visit.page.locator(".js-plotly-plot").first.wait_for()
    margins = dict.fromkeys(("top", "bottom", "left", "right"), "10mm")
    paper = visit.page.pdf(format=size, margin=margins)
    # The overview, two faces, and what the model is.
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 4
    visit.page.emulate_media(media="print")
    for name in (".swatch", ".hatched", ".thumb .bar"):
        style = f"getComputedStyle(document.querySelector({name!r})).printColorAdjust"
        assert visit.page.evaluate(style) == "exact"
    visit.check_quiet(path)


@pytest.mark.browser
def test_an_absence_stays_empty_in_the_stacked_chart(browser: Any, page_path: Path) -> None:
    visit = _Visit(browser.new_page(viewport={"width": 1280, "height": 900}), page_path)
    visit.page.locator("#face-2 .chart-time").scroll_into_view_if_needed()
    visit.page.locator("#face-2 .chart-time.js-plotly-plot").wait_for()
    widths = visit.page.evaluate(
        """[...document.querySelectorAll('#face-2 .chart-time .js-line')]
            .map(line => parseFloat(getComputedStyle(line).strokeWidth))"""
    )
    # Areas have no outline, which would run along the bottom; valence and arousal are broken.
    assert set(widths) == {0, 1.6}


@pytest.mark.browser
@pytest.mark.parametrize("kind", ["two", "none", "still"])
def test_pages_are_quiet_and_fit_a_phone(browser: Any, tmp_path: Path, kind: str) -> None:
    faces: dict[str, list[dict[int, np.ndarray]]] = {
        "two": two_faces(),
        "none": [{}] * 5,
        "still": [{1: probabilities_of("fear")}],
    }
    inputs = make_inputs(faces[kind], is_still=kind == "still")
    path = write_report(tmp_path / f"{kind}.html", **inputs)
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, color_scheme="dark"
    )
    visit = _Visit(context.new_page(), path)
    for chart in visit.page.locator(".chart").all():
        chart.scroll_into_view_if_needed()
    expected = {"two": 7, "none": 0, "still": 2}[kind]
    if expected:
        visit.page.locator(".js-plotly-plot").nth(expected - 1).wait_for()
    assert visit.page.locator(".js-plotly-plot").count() == expected
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    visit.check_quiet(path)
    context.close()
