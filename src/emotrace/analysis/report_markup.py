"""Tables and the small part of Markdown that model cards use, as HTML. All text is escaped.

Known are headings, paragraphs, lists with `-` or `*`, tables, `**bold**`, `*emphasis*` and code in
backticks. Anything else (links, pictures, raw HTML) stays the text that it is: a card comes with a
bundle from somewhere, and must not be able to put anything of its own into the page.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HEADING: Final = re.compile(r"(#{1,6})\s+(.*?)\s*#*")
_ITEM: Final = re.compile(r"[-*]\s+(.*)")
_TABLE_RULE: Final = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?")
_TOP_HEADING: Final = 3
"""A card sits inside a section of the page, whose heading is of the second level."""


def table_html(
    names: Sequence[str], rows: Sequence[Sequence[str]], is_number: Sequence[bool]
) -> str:
    """Return a table that scrolls by itself where it is wide.

    Args:
        names: Heads of the columns, as HTML.
        rows: Cells, as HTML; as many in each row as there are columns.
        is_number: For each column, whether to set it to the right.
    """
    kinds = [' class="number"' if number else "" for number in is_number]
    head = "".join(f"<th{kind}>{name}</th>" for name, kind in zip(names, kinds, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def markdown_html(text: str) -> str:
    r"""Return a model card as HTML.

    >>> markdown_html("# Limits\n\nFaces of **under 20 px**\nare <b>guessed</b> at.")
    '<h3>Limits</h3><p>Faces of <strong>under 20 px</strong> are &lt;b&gt;guessed&lt;/b&gt; at.</p>'
    """
    lines = [line.strip() for line in text.splitlines()]
    parts: list[str] = []
    at = 0
    while at < len(lines):
        part, at = _block(lines, at)
        parts.append(part)
    return "".join(parts)


def code_html(text: str) -> str:
    """Return a sentence with what stands in backticks as code, and nothing else marked.

    >>> code_html("2 * 3 with `--all`")
    '2 * 3 with <code>--all</code>'
    """
    return _with_code(text, html.escape)


def _block(lines: Sequence[str], at: int) -> tuple[str, int]:
    """Return the block that begins at a line, and where the next one begins."""
    if not lines[at]:
        return "", at + 1
    heading = _HEADING.fullmatch(lines[at])
    if heading:
        level = min(6, _TOP_HEADING - 1 + len(heading[1]))
        return f"<h{level}>{_inline(heading[2])}</h{level}>", at + 1
    if _begins_table(lines, at):
        stop = at
        while stop < len(lines) and "|" in lines[stop]:
            stop += 1
        return _table(lines[at:stop]), stop
    if _ITEM.fullmatch(lines[at]):
        items: list[str] = []
        while at < len(lines) and lines[at] and not _HEADING.fullmatch(lines[at]):
            item = _ITEM.fullmatch(lines[at])
            if item:
                items.append(item[1])
            else:  # an item may run on over several lines
                items[-1] += f" {lines[at]}"
            at += 1
        return f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</ul>", at
    stop = at + 1
    while stop < len(lines) and lines[stop] and not _begins_block(lines, stop):
        stop += 1
    return f"<p>{_inline(' '.join(lines[at:stop]))}</p>", stop


def _begins_block(lines: Sequence[str], at: int) -> bool:
    return bool(
        _HEADING.fullmatch(lines[at]) or _ITEM.fullmatch(lines[at]) or _begins_table(lines, at)
    )


def _begins_table(lines: Sequence[str], at: int) -> bool:
    return (
        "|" in lines[at]
        and at + 1 < len(lines)
        and "|" in lines[at + 1]
        and _TABLE_RULE.fullmatch(lines[at + 1]) is not None
    )


def _table(lines: Sequence[str]) -> str:
    names = _cells(lines[0])
    # Rows written by hand may be too short or too long; a table has as many columns as its head.
    rows = [(_cells(line) + [""] * len(names))[: len(names)] for line in lines[2:]]
    is_number = [
        bool(re.match(r"[-+\d]", rows[0][i])) if rows else False for i in range(len(names))
    ]
    return table_html(
        [_inline(name) for name in names],
        [[_inline(cell) for cell in row] for row in rows],
        is_number,
    )


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]


def _inline(text: str) -> str:
    """Escape a text and mark what is bold or code in it; in code nothing else is marked."""
    return _with_code(text, lambda part: _emphasis(html.escape(part)))


def _with_code(text: str, mark: Callable[[str], str]) -> str:
    parts = re.split(r"`([^`]+)`", text)
    return "".join(
        f"<code>{html.escape(part)}</code>" if position % 2 else mark(part)
        for position, part in enumerate(parts)
    )


def _emphasis(escaped: str) -> str:
    bold = re.sub(r"\*\*([^\s*](?:[^*]*[^\s*])?)\*\*", r"<strong>\1</strong>", escaped)
    return re.sub(r"\*([^\s*](?:[^*]*[^\s*])?)\*", r"<em>\1</em>", bold)
