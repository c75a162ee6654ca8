"""A phrase is found however it is dressed, where it is a phrase, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.findings import Direction
from gateway.core.passages import Passage
from gateway.inspectors.phrases import PhraseInspector

LISTS = {
    "secrets": ["Project Falcon", "attack", "covid19", "crème brûlée", "straße", "fi", "bad"],
    "foreign": ["机密", "Козёл", "ความลับ", "هجوم"],
    "signs": ["C++", "project falcon secret", "lite"],
}
INSPECTOR = PhraseInspector(LISTS)


async def found(text: str, before: str = "") -> list[tuple[str, str]]:
    passage = Passage(text, "/p", before=before)
    whole = before + text
    return [
        (hit.label, whole[len(before) + hit.start : len(before) + hit.end])
        for hit in await INSPECTOR.inspect([passage])
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("an ATTACK!", "ATTACK"),
        ("ａｔｔａｃｋ", "ａｔｔａｃｋ"),
        ("a\u200btt\u00adack", "a\u200btt\u00adack"),
        ("4tt4ck @ 5", "4tt4ck"),
        ("@tt@ck", "@tt@ck"),
        ("аttасk", "аttасk"),  # Cyrillic а and с
        ("cоvid19", "cоvid19"),  # Cyrillic о; the digits are its own
        ("l1te, 1ite", "l1te"),
        ("l1te, 1ite", "1ite"),
        ("project\n   falcon", "project\n   falcon"),
        ("**Project** _Falcon_", "Project** _Falcon"),
        ("project-falcon", "project-falcon"),
        ("project\u00a0falcon", "project\u00a0falcon"),
        ("my_bad_name", "bad"),
        ("`bad`", "bad"),
        ("b*a*d", "b*a*d"),
        ("cre\u0300me bru\u0302le\u0301e", "cre\u0300me bru\u0302le\u0301e"),
        ("STRASSE", "STRASSE"),
        ("ﬁ", "ﬁ"),
        ("这是机密文件", "机密"),
        ("КОЗЁЛ", "КОЗЁЛ"),
        ("นี่คือความลับนะ", "ความลับ"),
        ("هذا هجوم", "هجوم"),
        ("in C++, yes", "C++"),
        ("😀 bad 😀", "bad"),
        ("… bad ½", "bad"),
        ("İ bad", "bad"),
    ],
)
async def test_a_dressed_phrase_is_found(text: str, value: str) -> None:
    assert value in [what for _, what in await found(text)]


@pytest.mark.parametrize(
    "text",
    ["badge, forbade", "attackers counterattack", "projects falconry", "fine, wifi", "bád",
     "project. Falcon", "covid 1 9", "сор", "xC++y", "a t t a c k s", "mixed 0n", ""],
)  # fmt: skip
async def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert await found(text) == []


async def test_the_longest_comes_first_and_swallows_its_own_list_only() -> None:
    assert await found("project falcon secret") == [
        ("signs", "project falcon secret"),
        ("secrets", "project falcon"),
    ]


async def test_a_phrase_over_the_edge_of_a_passage_is_found_once() -> None:
    assert await found("falcon flies", before="bad project ") == [("secrets", "project falcon")]
    assert await found("flies", before="project falcon ") == []


async def test_findings_say_where_they_are() -> None:
    passage = Passage("so bad", "content", Direction.OUTPUT)
    [hit] = await INSPECTOR.inspect([passage])
    assert (hit.kind, hit.label, hit.where, hit.score, hit.direction) == (
        "phrase", "secrets", "content", 1.0, Direction.OUTPUT,
    )  # fmt: skip


async def test_no_lists_find_nothing() -> None:
    assert await PhraseInspector({}).inspect([Passage("anything", "/p")]) == []


@pytest.mark.parametrize("phrase", ["", "  ", "**", "\u200b"])
def test_an_empty_phrase_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        PhraseInspector({"list": [phrase]})


NOISE = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("*_`\u200b\n -é…"),
                max_size=10)  # fmt: skip


@settings(max_examples=200)
@given(NOISE, NOISE)
async def test_offsets_are_those_of_the_text_as_it_came(left: str, right: str) -> None:
    text = f"{left} attack {right}"
    spans = {(hit.start, hit.end) for hit in await INSPECTOR.inspect([Passage(text, "/p")])
             if text[hit.start] in "aA"}  # fmt: skip
    start = len(left) + 1
    assert any(first == start and text[first:last].startswith("attack") for first, last in spans)
