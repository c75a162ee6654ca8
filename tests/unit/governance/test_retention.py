"""Retention: who belongs to which class, and what holds where classes contradict each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.retention import Filed, RetentionClass
from gateway.governance.retention import DEFAULT, PRESETS, Conflict, Schedule, settled


def kept(name: str, least: int, most: int, **chosen: tuple[str, ...]) -> RetentionClass:
    return RetentionClass(name, least, most, "a law", **chosen)


@st.composite
def classes(draw: st.DrawFn) -> list[RetentionClass]:
    pairs = draw(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1))
    return [kept(f"c{i}", min(pair), max(pair)) for i, pair in enumerate(pairs)]


@given(classes())
def test_the_longest_minimum_wins_then_the_shortest_maximum_above_it(
    some: list[RetentionClass],
) -> None:
    term = settled(some)
    assert term.min_days == max(each.min_days for each in some)
    above = [each.max_days for each in some if each.max_days >= term.min_days]
    assert term.max_days == min(above) >= term.min_days
    named = {each.name: each for each in some}
    assert named[term.minimum_of].min_days == term.min_days
    assert named[term.maximum_of].max_days == term.max_days


def test_what_no_class_is_for_has_the_default() -> None:
    schedule = Schedule([kept("bank", 10, 20, teams=("bank-*",))])
    assert schedule.of(Filed("shop", "bot")).max_days == DEFAULT.max_days == 180
    assert schedule.of(Filed("bank-eu", "bot")).max_days == 20
    assert schedule.shortest == 20


def test_a_class_for_everything_takes_the_place_of_the_default() -> None:
    schedule = Schedule([kept("all", 0, 7)])
    assert schedule.of(Filed("any", "bot")) == (0, 7, "all", "all")
    assert schedule.shortest == 7


def test_each_member_that_is_given_must_match() -> None:
    one = kept("one", 0, 3, teams=("a",), labels=("ai-*", "x"))
    schedule = Schedule([one])
    assert schedule.of(Filed("a", "bot", ["ai-made"])).maximum_of == "one"
    assert schedule.of(Filed("a", "bot", ["other"])).maximum_of == "default"
    assert schedule.of(Filed("b", "bot", ["x"])).maximum_of == "default"


def test_contradictions_are_told_with_who_wins() -> None:
    long, short = kept("law", 100, 200, apps=("bot",)), kept("lean", 0, 30, teams=("a",))
    (said,) = Schedule([long, short]).overlaps()
    assert "law holds" in said
    assert Schedule([long, short]).of(Filed("a", "bot")) == (100, 200, "law", "law")
    apart = kept("lean", 0, 30, apps=("other",))
    assert Schedule([long, apart]).overlaps() == []


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (kept("b", 9, 8), "8 days at the most, but must be for 9"),
        (kept("a", 0, 1, apps=("x",)), "of this name already"),
        (kept("b", 0, 1), "for everything already"),
    ],
)
def test_what_cannot_stand_is_refused(second: RetentionClass, said: str) -> None:
    with pytest.raises(Conflict, match=said) as refused:
        Schedule([kept("a", 0, 1), second])
    assert refused.value.place == 1


def test_presets_keep_what_their_laws_ask_for() -> None:
    assert PRESETS["ai-act"].min_days >= 183
    assert min(PRESETS[name].min_days for name in ("financial", "hipaa")) >= 6 * 365
    assert all(each.max_days >= each.min_days for each in PRESETS.values())
