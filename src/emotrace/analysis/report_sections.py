"""The sections of a report as HTML. Every value is escaped, here or in `report_markup`."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any, Final

from emotrace.analysis.report_data import DISPLAY_ORDER, longest_segments
from emotrace.analysis.report_markup import code_html, markdown_html, table_html
from emotrace.video.palette import emotion_color

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emotrace.timeline import Segment

MAX_TABLE_ROWS: Final = 100
"""Longer tables are of more use in a spreadsheet."""

_SHARES_CAPTION: Final = (
    "Of the time that the face was present, by the most probable expression of each frame alone. "
    "Segments are smoothed and merged, so their lengths can add up to other shares."
)

_MINUS: Final = "\N{MINUS SIGN}"
_TIMES: Final = "\N{MULTIPLICATION SIGN}"


def clock(seconds: float) -> str:
    """Return `m:ss.s`, or `h:mm:ss.s` from an hour on.

    >>> clock(3661.25)
    '1:01:01.2'
    """
    minutes, tenths = divmod(round(abs(seconds) * 10), 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{_MINUS if seconds < 0 else ''}{head}:{tenths / 10:04.1f}"


def percent(share: float) -> str:
    """Return a share as whole percent.

    >>> percent(0.426)
    '43%'
    """
    return f"{share * 100:.0f}%"


def facts_list(summary: Mapping[str, Any]) -> str:
    """The input's facts for the head of the page."""
    facts, counts = summary["input"], summary["counts"]
    pairs = [("Size", f"{facts['width']} {_TIMES} {facts['height']} px")]
    if not facts["is_still_image"]:
        rate = facts["mean_frames_per_second"]
        rate_text = "unknown" if rate is None else f"{rate:.2f}".rstrip("0").rstrip(".")
        if facts["has_variable_frame_rate"]:
            rate_text += " (variable)"
        pairs = [
            ("Length", clock(facts["duration_seconds"])),
            ("Frames", f"{counts['frames']:,}"),
            ("Frames with a face", f"{counts['frames_with_face']:,}"),
            ("Frames per second", rate_text),
            *pairs,
        ]
    pairs += [
        ("Faces", str(counts["faces"])),
        ("Model", str(summary["bundle"].get("name") or "unknown")),
        ("Face detector", str(summary["detector"])),
    ]
    return _definition_list(pairs)


def notices_box(notices: Sequence[str]) -> str:
    """What the user should know, or nothing."""
    if not notices:
        return ""
    items = [notice[:1].upper() + notice[1:] for notice in notices]
    return f'<aside class="notices"><strong>Please note</strong>{_plain_list(items)}</aside>'


def overview_section(summary: Mapping[str, Any], shown_faces: Sequence[int]) -> str:
    """The legend, all faces' segments in one chart, and a table with a row for each face."""
    is_still = summary["input"]["is_still_image"]
    legend = "".join(f"<li>{_named(name)}</li>" for name in DISPLAY_ORDER)
    if _threshold(summary) is not None and not is_still:
        legend += '<li><span class="name"><span class="swatch hatched"></span>uncertain</span></li>'
    choice = (
        '<fieldset><legend>Curves as</legend><label><input type="radio" name="chart-style"'
        ' value="stacked" checked> stacked areas</label><label><input type="radio"'
        ' name="chart-style" value="lines"> lines</label></fieldset>'
    )
    # One row of the chart needs about two lines of text.
    height_rem = 3.2 + 2.2 * len(shown_faces)
    chart = (
        f'<figure><div class="chart" data-kind="glance" style="height:{height_rem:.1f}rem"'
        ' role="img" aria-label="Segments of every face over time, as in the tables below"></div>'
        "</figure>"
    )
    more = len(summary["faces"]) - MAX_TABLE_ROWS
    return (
        '<section class="card" id="overview"><h2>At a glance</h2>'
        f'<div class="toolbar"><ul class="legend" aria-label="Colours">{legend}</ul>'
        f"{'' if is_still else choice}</div>{'' if is_still else chart}"
        f"{_faces_table(summary, shown_faces)}"
        + (f'<p class="sub">{more} more faces are in summary.json.</p>' if more > 0 else "")
        + "</section>"
    )


def no_face_section(summary: Mapping[str, Any]) -> str:
    """What takes the place of the charts where no face was found."""
    frames = summary["counts"]["frames"]
    what = "this picture" if summary["input"]["is_still_image"] else f"any of the {frames:,} frames"
    detector = str(summary["detector"])
    hints = [
        (
            "Very small faces, faces turned away and faces in the dark are missed; a larger or "
            "brighter recording helps."
        ),
        "A picture that lies on its side needs to be turned upright first.",
    ]
    if detector != "yunet":
        hints.append("The detector YuNet finds more than the others.")
    return (
        '<section class="card" id="no-face"><h2>No face was found</h2>'
        f'<p class="lead">The detector “{html.escape(detector)}” found no face in {what}. '
        "That is a result, not an error: the tables are complete and say so frame by frame.</p>"
        f"<p>If you can see faces in it, these things help:</p>{_plain_list(hints)}</section>"
    )


def face_section(
    face: Mapping[str, Any], segments: Sequence[Segment], pictures_html: str, *, is_still: bool
) -> str:
    """One face: its charts, pictures and segments.

    Args:
        face: An entry of the summary's `faces`.
        segments: The face's own.
        pictures_html: From `pictures_list`; may be empty.
        is_still: The input is one picture, so that there is nothing to draw over time.
    """
    face_id = face["face_id"]
    if is_still:
        body = f"{_pair_of_charts(face, is_still=True)}{pictures_html}"
        probability = percent(face["mean_confidence"])
        named = _named(face["vote_by_summed_probabilities"], f", {probability}")
        sub = f"Most probable: {named}{', uncertain' if face.get('uncertain_share') else ''}."
    else:
        sub = (
            f"Seen from {clock(face['first_seen_seconds'])} to {clock(face['last_seen_seconds'])}, "
            f"present for {face['seconds_present']:.1f} s in {face['frames']:,} frames "
            f"({percent(face['detected_share'])} detected, {percent(face['tracked_share'])} "
            f"tracked). Most of the time: {_most_often(face)}."
        )
        if face.get("uncertain_share") is not None:
            sub += f" Uncertain for {percent(face['uncertain_share'])} of its time."
        body = (
            f'<figure><div class="chart chart-time" data-kind="time" data-face="{face_id}"'
            f' role="img" aria-label="Face {face_id}: segments, probability of each expression,'
            ' valence and arousal over time"></div><figcaption><span class="screen">Drag over a '
            "stretch to zoom in; double-click to zoom out. </span>The curves are unsmoothed "
            "predictions, the segments what stands out after smoothing. "
            '<button type="button" class="quiet" hidden'
            f' data-reset="{face_id}">Show the whole time</button></figcaption></figure>'
            f"{_pair_of_charts(face, is_still=False)}{pictures_html}{_segments_table(segments)}"
        )
    return (
        f'<section class="card face" id="face-{face_id}"><h2>Face {face_id}</h2>'
        f'<p class="sub">{sub}</p>{body}</section>'
    )


def pictures_list(pictures: Sequence[tuple[int, float, str, float, str]], *, is_still: bool) -> str:
    """Pictures as buttons that show their moment in the curves; nothing where there are none.

    Args:
        pictures: Face, seconds, expression, its probability and the picture's address.
        is_still: The input is one picture: there are no curves to go to.
    """
    if not pictures:
        return ""
    items = []
    for face_id, seconds, emotion, confidence, address in pictures:
        when = percent(confidence) if is_still else f"{percent(confidence)} · {clock(seconds)}"
        inner = (
            f'<img src="{address}" alt="Face {face_id} at {clock(seconds)}">'
            f'<span class="bar" style="background:{emotion_color(emotion)}"></span>'
            f'<span class="text">{html.escape(emotion)}<br><span class="when">{when}</span></span>'
        )
        items.append(
            f'<li><div class="thumb">{inner}</div></li>'
            if is_still
            else f'<li><button type="button" class="thumb" data-face="{face_id}"'
            f' data-peak="{seconds:.3f}">{inner}</button></li>'
        )
    listed = f'<ul class="thumbs">{"".join(items)}</ul>'
    if is_still:
        return f"<h3>The face</h3>{listed}"
    return (
        f'<h3>The peak of each segment</h3>{listed}<p class="sub"><span class="screen">Choose a '
        "picture to see that moment in the curves. </span>The percentage is the expression's "
        "probability in that frame.</p>"
    )


def reading_section(summary: Mapping[str, Any], omissions: Sequence[str]) -> str:
    """How to read the page, and what was left out of it."""
    in_time = (
        "A segment is a stretch in which one expression is the most probable one after "
        "smoothing; very short ones are merged into their neighbours. Empty space means that the "
        "face was away."
    )
    items = [
        (
            "Each frame gets eight probabilities that sum to 100%. They say how sure the model is "
            "about the look of the face, not how strong an expression is."
        ),
        *([] if summary["input"]["is_still_image"] else [in_time]),
        *([] if _threshold(summary) is None else [_uncertain_text(summary)]),
        (
            "The model saw no sound, no words and no situation. A smile can be polite, and a face "
            "at rest can look sad. Treat single moments as places to look at yourself, and check a "
            "sample against human ratings before you compare people or groups."
        ),
        *omissions,
        str(summary["columns_note"]),
    ]
    return (
        '<section class="card" id="reading"><h2>How to read this</h2>'
        f"{_plain_list(items)}</section>"
    )


def model_section(summary: Mapping[str, Any], bundle_card: str) -> str:
    """What is known of the model, with its card folded in."""
    # The whole hash is in the fold-out below; a dozen digits tell two bundles apart.
    shown = {
        key: f"{value[:12]}…" if key == "sha256" else value
        for key, value in summary["bundle"].items()
    }
    pairs = [
        (key.replace("_", " ").capitalize(), f"{value:.3g}" if type(value) is float else str(value))
        for key, value in shown.items()
        if isinstance(value, str | int | float) and str(value)
    ]
    card = bundle_card.strip()
    folded = (
        '<details><summary>Model card</summary><div class="prose">'
        f"{markdown_html(card)}</div></details>"
        if card
        else ""
    )
    return (
        '<section class="card" id="model"><h2>The model</h2>'
        f'<dl class="facts">{_definition_list(pairs)}</dl>{folded}</section>'
    )


def details_section(summary: Mapping[str, Any]) -> str:
    """Settings and versions, folded in."""
    keys = ("input", "settings", "segmentation", "bundle", "versions", "schema_version")
    shown = {key: summary[key] for key in keys if key in summary}
    text = html.escape(json.dumps(shown, indent=2, ensure_ascii=False))
    return (
        '<section class="card" id="details"><h2>Settings and versions</h2>'
        "<details><summary>Everything needed to repeat this run</summary>"
        f"<pre>{text}</pre></details></section>"
    )


def _pair_of_charts(face: Mapping[str, Any], *, is_still: bool) -> str:
    face_id = face["face_id"]
    shares = face["emotion_time_shares"]
    listed = ", ".join(f"{name} {percent(shares[name])}" for name in DISPLAY_ORDER)
    bars = "Probability of each expression" if is_still else f"Share of time: {listed}"
    means = f"Mean valence {_signed(face['mean_valence'])}, mean arousal"
    source = (
        "Derived from the probabilities through published ratings of the words (crosses); they add "
        "no information to the probabilities."
        if "derived" in face["valence_arousal_sources"]
        else "Predicted by the model; crosses mark published ratings of the words."
    )
    in_time = "" if is_still else " The colour runs with time, as the bar beside says."
    return (
        f'<div class="pair"><figure><h3>{"Probabilities" if is_still else "Share of time"}</h3>'
        f'<div class="chart chart-shares" data-kind="shares" data-face="{face_id}" role="img"'
        f' aria-label="{bars}"></div><figcaption>'
        + ("The model's probabilities." if is_still else _SHARES_CAPTION)
        + '</figcaption></figure><figure><h3>Valence and arousal</h3><div class="chart chart-plane"'
        f' data-kind="plane" data-face="{face_id}" role="img" aria-label="{means} '
        f'{_signed(face["mean_arousal"])}"></div><figcaption>{source}{in_time}</figcaption>'
        "</figure></div>"
    )


def _faces_table(summary: Mapping[str, Any], shown_faces: Sequence[int]) -> str:
    is_still = summary["input"]["is_still_image"]
    shown = set(shown_faces)
    has_doubt = _threshold(summary) is not None
    rows = []
    for face in summary["faces"][:MAX_TABLE_ROWS]:
        name = f"Face {face['face_id']}"
        link = f'<a href="#face-{face["face_id"]}">{name}</a>' if face["face_id"] in shown else name
        vote = _named(face["vote_by_summed_probabilities"])
        affect = [_signed(face["mean_valence"]), _signed(face["mean_arousal"])]
        if is_still:
            rows.append([link, vote, percent(face["mean_confidence"]), *affect])
        else:
            first, last = clock(face["first_seen_seconds"]), clock(face["last_seen_seconds"])
            present = f"{face['seconds_present']:.1f} s"
            doubt = [percent(face["uncertain_share"])] if has_doubt else []
            rows.append([link, first, last, present, _most_often(face), *doubt, vote, *affect])
    if is_still:
        return _table(["Face", "expression", "#probability", "#valence", "#arousal"], rows)
    names = ["Face", "#first seen", "#last seen", "#present", "most of the time"]
    names += ["#uncertain"] if has_doubt else []
    return _table(
        [*names, "vote over all frames", "#mean valence", "#mean arousal"],
        rows,
    )


def _segments_table(segments: Sequence[Segment]) -> str:
    shown = longest_segments(segments, MAX_TABLE_ROWS)
    rows = [
        [
            clock(s.start_seconds),
            clock(s.end_seconds),
            _named(s.emotion),
            percent(s.mean_confidence),
            clock(s.peak_timestamp_seconds),
        ]
        for s in shown
    ]
    note = ""
    if len(shown) < len(segments):
        note = (
            f'<p class="sub">The {len(shown)} longest of {len(segments)}; '
            "all are in segments.parquet.</p>"
        )
    table = _table(["#from", "#to", "expression", "#mean confidence", "#peak"], rows)
    return (
        f"<details><summary>All segments as a table ({len(segments)})</summary>{note}{table}"
        "</details>"
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already; `#` before a name marks a column of numbers."""
    return table_html(
        [name.removeprefix("#") for name in names], rows, [name.startswith("#") for name in names]
    )


def _named(emotion: str, after: str = "") -> str:
    """The expression's name beside its colour, in one piece."""
    swatch = f'<span class="swatch" style="background:{emotion_color(emotion)}"></span>'
    return f'<span class="name">{swatch}{html.escape(emotion + after)}</span>'


def _threshold(summary: Mapping[str, Any]) -> float | None:
    threshold: float | None = summary["bundle"].get("uncertain_threshold")
    return threshold


def _uncertain_text(summary: Mapping[str, Any]) -> str:
    hatched = "" if summary["input"]["is_still_image"] else " and is hatched in the charts"
    return (
        "A prediction whose most probable expression has less than "
        f"{percent(_threshold(summary) or 0)} counts as uncertain{hatched}. The model card says "
        "how often the others are right. Tables and shares of time hold uncertain ones too."
    )


def _most_often(face: Mapping[str, Any]) -> str:
    shares = face["emotion_time_shares"]
    top = max(shares, key=shares.__getitem__)
    return _named(top, f", {percent(shares[top])}")


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.2f}".replace("-", _MINUS)


def _plain_list(items: Sequence[str]) -> str:
    listed = "".join(f"<li>{code_html(item)}</li>" for item in items)
    return f'<ul class="plain">{listed}</ul>'


def _definition_list(pairs: Sequence[tuple[str, str]]) -> str:
    return "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in pairs
    )
