"""A report in each format says the same, and nothing that a caller named acts in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.reports import Report, Row, Verdict
from gateway.governance.reports.rendering import as_html, as_json, as_markdown

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)


def made(name: str = "a", org: str = "acme") -> Report:
    rows = [
        Row("Art. 1", "It is so.", {"apps": {name: 3}, "none": {}, "oldest": AT}, Verdict.MET, ""),
        Row("Art. 2", "It is more.", {"calls": 7, "signed": None}, Verdict.GAP, "It lacks <all>."),
    ]
    queries = {"apps": "SELECT a FROM b WHERE c < 1", "calls": "SELECT 1"}
    return Report("x", "A title", org, AT, AT, AT, ["A note."], rows, queries)


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_json_holds_all_of_it() -> None:
    told = json.loads(as_json(made()))
    first, second = told["rows"]
    assert first["figures"] == {"apps": {"a": 3}, "none": {}, "oldest": "2026-11-22T10:00:00Z"}
    assert (first["verdict"], second["verdict"], second["gap"]) == ("met", "gap", "It lacks <all>.")
    assert told["queries"]["calls"] == "SELECT 1"


def test_markdown_holds_all_of_it() -> None:
    text = as_markdown(made())
    assert "| Art. 1 | It is so. | `apps`: a 3<br>`none`: none<br>" in text
    assert "| **gap** |" in text
    assert "```sql\nSELECT a FROM b WHERE c < 1\n```" in text


def test_a_page_needs_nothing_besides() -> None:
    page = Page(as_html(made()))
    assert set(page.attributes) == {"lang", "charset"}
    assert not {"script", "link", "img", "a", "iframe"} & set(page.tags)
    assert "It lacks <all>." in page.text
    assert "SELECT a FROM b WHERE c < 1" in page.text


@given(name=TEXT, org=TEXT)
def test_a_name_is_only_text_in_a_page(name: str, org: str) -> None:
    plain, named = Page(as_html(made())), Page(as_html(made(name, org)))
    assert named.tags == plain.tags
    assert named.attributes == plain.attributes
    assert f"apps: {name} 3none" in named.text


@given(name=TEXT)
def test_a_name_is_only_text_in_markdown(name: str) -> None:
    lines = as_markdown(made(f"n{name}")).splitlines()
    assert len(lines) == len(as_markdown(made()).splitlines())
    (row,) = [line for line in lines if line.startswith("| Art. 1")]
    cell = row.partition("`apps`: ")[2].partition(" 3<br>")[0]
    bare = [sign for at, sign in enumerate(cell) if sign in "<|`[" and cell[at - 1] != "\\"]
    assert not bare


@given(name=TEXT)
def test_a_name_is_itself_in_json(name: str) -> None:
    assert json.loads(as_json(made(name)))["rows"][0]["figures"]["apps"] == {name: 3}
