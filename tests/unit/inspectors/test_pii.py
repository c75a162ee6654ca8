"""Where personal data is said to be, and what that costs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.findings import Direction
from gateway.core.passages import Passage
from gateway.inspectors import pii
from gateway.inspectors.pii import PiiInspector, scan
from gateway.inspectors.recognisers import RECOGNISERS, Judge

VALUES = ["bob@example.com", "+33 6 12 34 56 78", "4111 1111 1111 1111", "192.168.10.12",
          "123-45-6789", "DE89370400440532013000", "https://u:p@h.com"]  # fmt: skip
PADDING = st.text("aé漢😀 .,;\n\u200b\u00a0", max_size=12)


@settings(max_examples=150)
@given(st.lists(st.tuples(PADDING, st.sampled_from(VALUES)), min_size=1, max_size=5), PADDING)
def test_offsets_count_characters(parts: list[tuple[str, str]], rest: str) -> None:
    """Whatever stands around a value, in any script or plane."""
    text, places = "", []
    for padding, value in parts:
        text += padding + " "
        places.append((len(text), len(text) + len(value)))
        text += value + " "
    found = {(hit.start, hit.end) for hit in scan(text + rest)}
    assert found.issuperset(places)


@settings(max_examples=150)
@given(st.text(alphabet=st.characters(codec=None) | st.sampled_from("0123456789 @.-+:/aF")))
def test_any_text_can_be_looked_at(text: str) -> None:
    """Lone surrogates, control characters and all."""
    for hit in scan(text):
        assert 0 <= hit.start < hit.end <= len(text)
        assert pii.FLOOR <= hit.score <= 1


async def test_what_began_before_the_passage_is_found() -> None:
    passage = Passage("1111 1111 and bob@example.com", "content", Direction.OUTPUT,
                      before="a@b.com 4111 1111 ")  # fmt: skip
    found = await PiiInspector().inspect([passage])
    assert [(f.label, f.start, f.end) for f in found] == [
        ("CREDIT_CARD", -10, 9),
        ("EMAIL_ADDRESS", 14, 29),
    ]
    assert {(f.kind, f.where, f.direction) for f in found} == {("pii", "content", Direction.OUTPUT)}


async def test_each_passage_speaks_for_itself() -> None:
    passages = [Passage("bob@example.com", "/a"), Passage("none", "/b"), Passage("8.8.8.8", "/c")]
    found = await PiiInspector().inspect(passages)
    assert [(f.where, f.label) for f in found] == [("/a", "EMAIL_ADDRESS"), ("/c", "IP_ADDRESS")]


def test_all_that_overlaps_is_reported_the_longest_first() -> None:
    text = "postgres://bob:secret@db.example.com/x"
    assert [(hit.label, text[hit.start : hit.end]) for hit in scan(text)] == [
        ("URL_CREDENTIALS", "postgres://bob:secret@db.example.com"),
        ("EMAIL_ADDRESS", "secret@db.example.com"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "bo\u200bb@example.com",
        "４１１１\u3000１１１１\u3000１１１１\u3000１１１１",
        "٤١١١ ١١١١ ١١١١ ١١١١",
        "4111‑1111‑1111‑1111",
        "\u00ad4111\u200b111111111111",
    ],
)
def test_disguises_are_seen_through(text: str) -> None:
    [hit] = [hit for hit in scan(f"« {text} »") if hit.score >= 0.9]
    assert f"« {text} »"[hit.start : hit.end].strip("\u00ad") == text.strip("\u00ad")


def test_when_the_prefilter_gives_up_every_recogniser_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Full:
        def Match(self, text: str) -> None:  # as RE2 names it
            return None

    monkeypatch.setattr(pii._pack(), "_set", Full())
    assert pii._pack().prefilter("x") == range(len(RECOGNISERS))
    assert [hit.label for hit in scan("bob@example.com")] == ["EMAIL_ADDRESS"]


@pytest.mark.parametrize(
    "unit",
    ["4444 ", "01 23 45 67 8 9", "+39 9 9 9 9 9 9 9 ", ":", "1.", "FR12 3456 ", "a://b:", "x.",
     "943 476 5918 ", "1", "１", "a\u200b", "a@", "😀1@a.b "],
)  # fmt: skip
def test_work_grows_with_the_text_and_no_faster(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts the characters that judges are shown, the one thing that could be looked at twice."""

    def work(copies: int) -> int:
        shown = 0

        def counting(judge: Judge) -> Judge:
            def count(text: str) -> tuple[int, float]:
                nonlocal shown
                shown += len(text)
                return judge(text)

            return count

        kinds = tuple(
            pii.Recogniser(k.label, k.pattern, counting(k.judge), k.edges, k.words, k.lifted,
                           k.doubts, k.bounded)
            for k in RECOGNISERS
        )  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(pii, "RECOGNISERS", kinds)
            scan(unit * copies + "@a.png")
        return shown

    assert work(800) <= 2.2 * work(400) + 200
