"""Where sentences, paragraphs and lines of code end."""

from __future__ import annotations

import pytest

from gateway.core.splitter import Splitter, Unit


def split(text: str, unit: Unit = Unit.SENTENCE, longest: int = 600) -> list[str]:
    splitter = Splitter(unit, longest)
    return splitter.feed(text) + splitter.finish()


@pytest.mark.parametrize(
    "sentences",
    [
        ["One. ", "Two! ", "Three? ", "Four… ", "Five"],
        ['He said "No." ', "Then (really!) ", "he left.) ", "**So.** ", "It goes"],
        ["Привет. ", "Как дела? ", "Хорошо"],
        ["كيف حالك؟ ", "جيد۔ ", "شكرا"],
        ["यह ठीक है। ", "हाँ॥ ", "नमस्ते"],
        ["你好。", "世界！", "「好？」", "再见｡", "完"],
        ["What?! ", "No..."],
        ["A line\nthat wraps. ", "Next"],
        ["A title\n\n", "A paragraph\n \t\n\n", "Another"],
        ["Ends a line.\n", "The next"],
        ["Windows\r\n\r\n", "lines"],
    ],
)
def test_sentences_of_every_script(sentences: list[str]) -> None:
    assert split("".join(sentences)) == sentences


@pytest.mark.parametrize(
    "sentence",
    ["It costs 3.5 dollars", "at 1.299,99 or 1,299.99", "see example.com/a.b", "J. R. Smith spoke",
     "am 14. 3. 2025 geboren", "a\nb\nc", "call 06. 12. 34", "no end here", "version 1.2.3-rc.4"],
)  # fmt: skip
def test_what_ends_no_sentence(sentence: str) -> None:
    assert split(sentence) == [sentence]


def test_code_is_cut_at_lines() -> None:
    lines = ["Look:\n", "```python\n", "x = a. b. c\n", "\n".join(["y = 1!", "", ""]), "z = ```\n",
             "  ```\n", "After. ", "End"]  # fmt: skip
    assert split("".join(lines)) == lines


@pytest.mark.parametrize(
    ("text", "passages"),
    [
        ("```one line``` it is. Two", ["```one line``` it is. Two"]),
        ("````\n```\na. b\n````\nc. d", ["````\n", "```\n", "a. b\n", "````\n", "c. ", "d"]),
        ("~~~\na. b\n~~~\nc. d", ["~~~\n", "a. b\n", "~~~\n", "c. ", "d"]),
        ("- x\n    ```\n    a. b\n    ```\nc. d",
         ["- x\n", "    ```\n", "    a. b\n", "    ```\n", "c. ", "d"]),
        ("use ``` here. Yes", ["use ``` here. ", "Yes"]),
    ],
)  # fmt: skip
def test_fences(text: str, passages: list[str]) -> None:
    assert split(text) == passages


def test_a_paragraph_ends_at_a_blank_line_only() -> None:
    text = "One. Two.\nThree.\n\nFour. Five"
    assert split(text, Unit.PARAGRAPH) == ["One. Two.\nThree.\n\n", "Four. Five"]


def test_a_long_paragraph_is_cut_at_a_sentence() -> None:
    assert split("One two. Three four five six", Unit.PARAGRAPH, 18) == [
        "One two. ", "Three four five ", "six",
    ]  # fmt: skip


def test_the_whole_is_held_to_the_end() -> None:
    splitter = Splitter(Unit.WHOLE)
    assert splitter.feed("One. " * 500) == []
    assert splitter.feed("Two") == []
    assert splitter.finish() == ["One. " * 500 + "Two"]


@pytest.mark.parametrize("unit", Unit)
def test_nothing_is_no_passage(unit: Unit) -> None:
    splitter = Splitter(unit)
    assert splitter.feed("") + splitter.finish() == []


def test_a_cut_waits_for_what_follows() -> None:
    splitter = Splitter()
    assert splitter.feed("It ends.") == []
    assert splitter.feed(" ") == []
    assert splitter.feed("N") == ["It ends. "]
    assert splitter.finish() == ["N"]


@pytest.mark.parametrize(
    "number",
    ["4111 1111 1111 1111", "+33 6 12 34 56 78", "(415) 555-2671", "4111-1111-1111-1111",
     "DE89 3704 0044 0532"],
)  # fmt: skip
def test_a_long_run_is_cut_at_a_space_outside_numbers(number: str) -> None:
    for padding in range(40):
        text = "some words and " + "x" * padding + " more " + number + " and then some"
        assert any(number in passage for passage in split(text, longest=48))


@pytest.mark.parametrize("pair", ["12", "e\u0301", "👍🏽", "👩\u200d", "🇫🇷", "क\u093f"])
def test_a_run_without_a_space_is_cut_beside_what_belongs_together(pair: str) -> None:
    assert split("漢" * 9 + pair + "漢", longest=10) == ["漢" * 9, pair + "漢"]


def test_a_run_of_digits_is_cut_in_the_end() -> None:
    assert split("1" * 25, longest=10) == ["1" * 10, "1" * 10, "1" * 5]


def test_longest_must_hold_a_character() -> None:
    with pytest.raises(ValueError, match="longest"):
        Splitter(longest=0)
