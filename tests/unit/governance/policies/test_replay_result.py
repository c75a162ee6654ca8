"""What a replay found is counted without growing, and told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.core.audit import Filters
from gateway.core.policy import Verdict
from gateway.core.replays import AskedThen, Batch, Chosen, Unread, Wanted
from gateway.governance.policies.classes import Class, Difference, Why
from gateway.governance.policies.replay import Compared
from gateway.governance.policies.replay_result import MOST_SAMPLES, TOP, Tally, as_text, result

NOW = datetime(2026, 11, 23, tzinfo=UTC)
NOTHING: dict[str, list[str]] = {
    "reasons": [], "obligations": [], "observed": [], "overridden": [],
}  # fmt: skip
ALLOW, DENY = (Verdict.parse({"effect": effect, **NOTHING}) for effect in ("allow", "deny"))


def one(number: int, difference: Difference, why: Why | None = None) -> Compared:
    at = NOW - timedelta(minutes=number)
    asked = AskedThen(f"exc_{number}", at, f"a{number}", "t", None, 3, {}, None, None)
    return Compared(asked, difference, Class.UNCHANGED, why, ALLOW, DENY)


def test_what_is_named_is_bounded() -> None:
    tally = Tally()
    for number in range(200):
        tally.add(one(number, Difference(Class.NEWLY_DENIED, ["r"])))
    told = result(tally, Chosen(range(200), 200), Wanted(Filters(), 200), NOW, ("x", "y"))
    assert told["samples"] == {"newly_denied": [f"exc_{n}" for n in range(MOST_SAMPLES)]}
    assert len(told["top"]["newly_denied"]["apps"]) == TOP
    assert told["cost_denied_micro_usd"] == 600
    assert (told["base"], told["change"]) == ("x", "y")


def test_a_window_that_was_not_read_whole_begins_where_reading_ended() -> None:
    tally = Tally()
    for number in range(10):
        tally.add(one(number, Difference(Class.UNCHANGED)))
    filters = Filters(since=NOW - timedelta(days=30))
    for matched, begin in ((10, filters.since), (11, NOW - timedelta(minutes=9))):
        told = result(tally, Chosen(range(10), matched), Wanted(filters, 10), NOW, ("", ""))
        assert begin is not None
        assert told["since"] == begin.isoformat()


def test_everything_is_told_in_words() -> None:
    tally = Tally()
    for number, why in enumerate(Why):
        tally.add(one(number, Difference(Class.NOT_EVALUATED), why))
    changed = Difference(Class.NEWLY_CHANGED, ["r"], ["+cache", "-mask"], widens=True)
    tally.add(one(9, changed))
    tally.add(one(10, Difference(Class.NEWLY_HELD)))
    tally.skip(Batch([], dict.fromkeys(Unread, 2)))
    told = result(tally, Chosen([1], 1), Wanted(Filters(), 1), NOW, ("", ""))
    assert told["cost_not_known"] == 1
    assert told["cost_held_micro_usd"] == 3
    assert told["not_evaluated"] == len(Why)
    text = as_text(told)
    for said in ("+cache 1, -mask 1", "WARNING: 1 of them", "nobody knows", "waits for a person",
                 "NOT AS THEY WERE WRITTEN", "the policy engine failed: 1"):  # fmt: skip
        assert said in text


def test_nothing_is_told_of_nothing() -> None:
    told = result(Tally(), Chosen([], 0), Wanted(Filters(), 1), NOW, ("", ""))
    assert told["replayed"] == 0
    assert "0 recorded questions" in as_text(told)
