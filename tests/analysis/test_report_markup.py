from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emotrace.analysis.report_markup import markdown_html, table_html
from emotrace.bundle import load_bundle

OWN_TAG = re.compile(
    r'</?(?:h[3-6]|p|ul|li|strong|em|code|table|thead|tbody|tr|th|td)>|<t[hd] class="number">'
    r'|<div class="scroll" tabindex="0" role="region" aria-label="Table">|</div>'
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("# A\n## B ##\n####### C", "<h3>A</h3><h4>B</h4><p>####### C</p>"),
        ("one\ntwo\n\nthree", "<p>one two</p><p>three</p>"),
        ("one\n# A", "<p>one</p><h3>A</h3>"),
        ("- a\n  more\n- b\n\nc", "<ul><li>a more</li><li>b</li></ul><p>c</p>"),
        ("a **b c** `d **e** <f>`", "<p>a <strong>b c</strong> <code>d **e** &lt;f&gt;</code></p>"),
        ("how it *looks*, 2 * 3 * 4", "<p>how it <em>looks</em>, 2 * 3 * 4</p>"),
        ("2 ** 3 ** 4 | 5", "<p>2 ** 3 ** 4 | 5</p>"),
        ("[a](javascript:b)", "<p>[a](javascript:b)</p>"),
    ],
)
def test_known_answers(text: str, expected: str) -> None:
    assert markdown_html(text) == expected


def test_a_table_keeps_its_columns_where_rows_are_ragged() -> None:
    text = "before\n| name | n |\n|---|--:|\n| a | 3,152 |\n| b |\n| c | 1 | 2 |\nafter"
    rows = [["a", "3,152"], ["b", ""], ["c", "1"]]
    table = table_html(["name", "n"], rows, [False, True])
    assert markdown_html(text) == f"<p>before</p>{table}<p>after</p>"
    assert table.count('<td class="number">') == 3


@given(st.text(alphabet=st.sampled_from("#*|-`<>&\"' a1\n"), max_size=80))
@example("|\n|-|")
@example("- \n-")
def test_nothing_but_own_tags_whatever_the_text(text: str) -> None:
    rest = OWN_TAG.sub("", markdown_html(text))
    assert not re.search(r"[<>]", rest)
    assert len(re.findall(r"[a1]", rest)) <= len(re.findall(r"[a1]", text)) + rest.count("&")


def test_the_default_card_has_its_headings_and_tables() -> None:
    card = load_bundle().card
    shown = markdown_html(card)
    assert shown.count("<h4>") == len(re.findall(r"^## ", card, re.MULTILINE)) > 3
    tables = len(re.findall(r"^\|[ :|-]+\|$", card, re.MULTILINE))
    assert shown.count("<table>") == tables > 2
    assert shown.count("<tr>") == len(re.findall(r"^\|", card, re.MULTILINE)) - tables
    assert not re.search(r"^\s*[#|]|\*\*", shown, re.MULTILINE)
