"""What every `Masker` promises: the fake, and Presidio's anonymizer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.presidio import PresidioMasker
from gateway.core.findings import Finding
from gateway.core.ports import Masker
from tests.fakes.masker import FakeMasker

MASKERS = [PresidioMasker(), FakeMasker()]
each = pytest.mark.parametrize("masker", MASKERS, ids=lambda masker: type(masker).__name__)


def finding(label: str, start: int, end: int, score: float = 1.0) -> Finding:
    return Finding("pii", label, "/a", start, end, score)


class Names:
    """Numbers values as the mask obligation does."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, label: str, value: str) -> str:
        if (label, value) not in self.asked:
            self.asked.append((label, value))
        return f"[[{label}_{self.asked.index((label, value)) + 1}]]"


@each
def test_no_findings_change_nothing(masker: Masker) -> None:
    assert masker.mask("as it is", [], Names()) == "as it is"
    assert masker.mask("", [], Names()) == ""


@each
def test_values_are_named_in_the_order_of_the_text(masker: Masker) -> None:
    names = Names()
    findings = [finding("B", 4, 6), finding("A", 0, 2), finding("B", 8, 10)]
    assert masker.mask("aa--bb--cc", findings, names) == "[[A_1]]--[[B_2]]--[[B_3]]"
    assert names.asked == [("A", "aa"), ("B", "bb"), ("B", "cc")]


@each
def test_the_same_value_has_the_same_name(masker: Masker) -> None:
    findings = [finding("A", 0, 2), finding("A", 3, 5)]
    assert masker.mask("xx xx", findings, Names()) == "[[A_1]] [[A_1]]"


@each
@pytest.mark.parametrize("between", ["", " ", "   ", "\n"])
def test_neighbours_stay_apart(masker: Masker, between: str) -> None:
    second = 2 + len(between)
    findings = [finding("A", 0, 2), finding("A", second, second + 2)]
    assert masker.mask(f"xx{between}yy", findings, Names()) == f"[[A_1]]{between}[[A_2]]"


@each
@pytest.mark.parametrize(
    ("findings", "masked"),
    [
        ([finding("IN", 2, 4), finding("OUT", 0, 6)], "[[OUT_1]]gh"),
        ([finding("LONG", 0, 5), finding("SHORT", 4, 7)], "[[LONG_1]]h"),
        ([finding("SHORT", 0, 3), finding("LONG", 2, 8)], "[[LONG_1]]"),
        ([finding("LOW", 0, 4, 0.4), finding("HIGH", 0, 4, 0.9)], "[[HIGH_1]]efgh"),
        ([finding("A", 0, 3), finding("B", 2, 5), finding("C", 4, 7)], "[[A_1]]h"),
        ([finding("A", -5, 3), finding("B", 6, 20)], "[[A_1]]def[[B_2]]"),
        ([finding("A", 3, 3), finding("B", 9, 12), finding("C", -3, 0)], "abcdefgh"),
    ],
)
def test_the_longest_wins_and_nothing_stays(
    masker: Masker, findings: list[Finding], masked: str
) -> None:
    assert masker.mask("abcdefgh", findings, Names()) == masked
    assert masker.mask("abcdefgh", findings[::-1], Names()) == masked


@each
def test_what_a_name_holds_is_not_looked_at(masker: Masker) -> None:
    findings = [finding("A", 0, 1), finding("A", 2, 3)]
    assert masker.mask("x y", findings, lambda label, value: "<A> \\1 %s {}") == (
        "<A> \\1 %s {} <A> \\1 %s {}"
    )


SPANS = st.lists(
    st.builds(
        lambda label, start, size: finding(label, start, start + size),
        st.sampled_from(["A", "B", "DEFAULT"]), st.integers(-3, 60), st.integers(0, 12),
    ),
    max_size=40,
)  # fmt: skip


@each
@given(size=st.integers(0, 60), spans=SPANS)
def test_what_was_found_is_gone_and_the_rest_is_as_it_was(
    masker: Masker, size: int, spans: list[Finding]
) -> None:
    """Every character of the text is another, so each can be followed."""
    text = "".join(chr(0x4E00 + place) for place in range(size))
    found = {place for span in spans for place in range(max(0, span.start), min(size, span.end))}
    values: list[str] = []

    def name(label: str, value: str) -> str:
        values.append(value)
        return "#"

    masked = masker.mask(text, spans, name)
    assert masked.replace("#", "") == "".join(
        character for place, character in enumerate(text) if place not in found
    )
    assert "".join(values) == "".join(text[place] for place in sorted(found))


@given(size=st.integers(0, 60), spans=SPANS)
def test_they_agree(size: int, spans: list[Finding]) -> None:
    text = "".join(chr(0x4E00 + place) for place in range(size))
    first, second = (masker.mask(text, spans, Names()) for masker in MASKERS)
    assert [part.split("_")[-1] for part in first.split("]]")] == [
        part.split("_")[-1] for part in second.split("]]")
    ]
