"""The same text is cut into the same passages however it arrives, in linear time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.splitter import Splitter, Unit

PIECES = st.sampled_from([
    "The end. ", "Dr. J. Smith said ", '"No!" ', "3.5 ", "14. 3. ", "4111 1111 ", "e.g. ", "word ",
    "Как? ", "مرحبا؟ ", "کیا۔", "ठीक है। ",
    "你好。", "「好！」", "हाँ॥ ", "\n", "\n\n", " \t\n \n", "```",
    "```py\n",
    "~~~\n", "\n```\n", "  ```\n", "x = a.b. c\n", "`", "``", ".", "?!", "…", " ", "a", "1",
    "é", "e\u0301", "👨\u200d👩", "🇫🇷", "\r\n", "x" * 15, "1" * 15, ")", '"', "*", "。",
])  # fmt: skip
TEXT = st.lists(PIECES, max_size=25).map("".join)
LONGEST = st.sampled_from([1, 2, 7, 20, 600])


def cut(text: str, unit: Unit, longest: int, ends: list[int]) -> list[str]:
    """The passages of `text`, fed in pieces that end at `ends`."""
    splitter = Splitter(unit, longest)
    passages: list[str] = []
    for start, end in zip([0, *ends], [*ends, len(text)], strict=True):
        passages += splitter.feed(text[start:end])
    return passages + splitter.finish()


@settings(max_examples=500)
@given(st.data(), TEXT, st.sampled_from(Unit), LONGEST)
def test_chunking_changes_nothing(data: st.DataObject, text: str, unit: Unit, longest: int) -> None:
    whole = cut(text, unit, longest, [])
    ends = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    assert cut(text, unit, longest, ends) == whole
    assert cut(text, unit, longest, list(range(len(text)))) == whole


@given(TEXT, st.sampled_from(Unit), LONGEST)
def test_the_passages_together_are_the_text(text: str, unit: Unit, longest: int) -> None:
    passages = cut(text, unit, longest, [])
    assert "".join(passages) == text
    assert all(passages)


@given(TEXT, st.sampled_from([Unit.SENTENCE, Unit.PARAGRAPH]), LONGEST)
def test_no_passage_is_longer_than_allowed(text: str, unit: Unit, longest: int) -> None:
    assert all(len(passage) <= longest for passage in cut(text, unit, longest, []))


@given(st.text("ab .\n", max_size=60), st.sampled_from([Unit.SENTENCE, Unit.PARAGRAPH]))
def test_what_is_fed_later_moves_no_cut(text: str, unit: Unit) -> None:
    splitter = Splitter(unit)
    early = splitter.feed(text)
    for more in (".", " x", "\n\nx", "9"):
        assert cut(text + more, unit, 600, [])[: len(early)] == early


class Counting(Splitter):
    """Counts the characters that are searched for a boundary."""

    searched = 0

    def _search(self, pattern: re.Pattern[str], start: int, end: int) -> re.Match[str] | None:
        found = super()._search(pattern, start, end)
        self.searched += (found.end() if found else end) - start
        return found


@pytest.mark.parametrize("unit", [Unit.SENTENCE, Unit.PARAGRAPH])
@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    "text",
    [
        "word ",
        "x",
        " ",
        "\n",
        ".",
        ". ",
        "。",
        "`",
        "a\n",
        "J. ",
        "1 ",
        "```\na.b\n",
        "\n\n",
        "a 1 ",
    ],
)
def test_no_character_is_searched_again_and_again(text: str, size: int, unit: Unit) -> None:
    text = text * (30_000 // len(text))
    splitter = Counting(unit)
    for start in range(0, len(text), size):
        splitter.feed(text[start : start + size])
    splitter.finish()
    assert splitter.searched <= 4 * len(text)
