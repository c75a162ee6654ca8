"""A policy that is asked beside decides nothing, and what it would have decided is counted."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.core.errors import Code, Unavailable
from gateway.core.exchange import Exchange
from gateway.core.policy import Decision, Question
from gateway.core.shadows import Kind, Report, Tally
from gateway.governance.policies.live import Revision
from gateway.governance.policies.shadow import Candidate, Shadow
from tests.exchanges import allowing, chat_request, decided, exchange_of
from tests.fakes.policy import ALLOW, FixedPolicy
from tests.fakes.tallies import FakeTallies
from tests.unit.governance.policies.building import over, stage_of

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DENY = {**ALLOW, "effect": "deny"}
PATIENCE = 10.0
"""Seconds; a bound for a thread that hangs, not a measure."""


class Held(FixedPolicy):
    """Answers once it may."""

    def __init__(self, answer: object) -> None:
        super().__init__(answer)
        self.asking = threading.Event()
        self.may = threading.Event()
        self.thread = ""

    async def decide(self, question: Question) -> Decision:
        self.asking.set()
        self.may.wait(10)
        self.thread = threading.current_thread().name
        return await super().decide(question)


def under(finds: str = "") -> Revision:
    return Revision("live", stage_of("live"), FixedPolicy(ALLOW), finds=finds)


async def asked(policy: FixedPolicy, *exchanges: Exchange, finds: str = "") -> Report:
    """The report of a shadow that was told of these exchanges."""
    shadow = Shadow("n1")
    offer = shadow.beside(Candidate("rel_1", policy, finds))
    for exchange in exchanges:
        offer(exchange, under())
    await emptied(shadow, len([e for e in exchanges if e.knows("question")]))
    report = await shadow.report("rel_1")
    await shadow.stop()
    return report


async def emptied(shadow: Shadow, count: int) -> None:
    """Return once so many were counted."""
    deadline = time.monotonic() + PATIENCE
    while sum((await shadow.report("rel_1")).counts.values()) < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


async def test_it_is_asked_the_question_that_was_asked_in_a_thread_of_its_own() -> None:
    policy = Held(DENY)
    policy.may.set()
    exchanges = [over("a"), over("b")]
    report = await asked(policy, *exchanges)
    assert policy.asked == [{"of": "a"}, {"of": "b"}]
    assert policy.thread == "shadow"
    assert report.counts[Kind.NEWLY_DENIED] == 2
    assert (report.rate, report.dropped) == (1.0, 0)
    assert {sample.exchange for sample in report.samples} == {each.id for each in exchanges}


async def test_what_is_decided_alike_is_no_sample() -> None:
    report = await asked(FixedPolicy(ALLOW), over(), over())
    assert report.counts[Kind.SAME] == 2
    assert report.rate == 0.0
    assert report.samples == []


async def test_what_was_refused_before_any_question_is_not_counted() -> None:
    report = await asked(FixedPolicy(ALLOW), exchange_of(chat_request()), over())
    assert sum(report.counts.values()) == 1


async def test_where_it_would_find_other_things_it_is_not_asked() -> None:
    policy = FixedPolicy(DENY)
    report = await asked(policy, over(), finds="other lists")
    assert report.counts[Kind.NOT_EVALUATED] == 1
    assert report.rate is None
    assert policy.asked == []


async def test_a_policy_that_fails_is_counted_and_asked_on() -> None:
    policy = FixedPolicy(ALLOW)
    policy.failing = Unavailable(Code.POLICY_ERROR, "no")
    report = await asked(policy, over(), over())
    assert report.counts[Kind.NOT_EVALUATED] == 2

    class Broken(FixedPolicy):
        async def decide(self, question: Question) -> Decision:
            raise ZeroDivisionError

    report = await asked(Broken(ALLOW), over(), over())
    assert report.counts[Kind.NOT_EVALUATED] == 2


async def test_what_does_not_fit_is_left_out_and_counted_and_nobody_waits() -> None:
    policy = Held(ALLOW)
    shadow = Shadow("n1", most=2)
    offer = shadow.beside(Candidate("rel_1", policy, ""))
    offer(over(), under())
    policy.asking.wait(10)  # that one is out of the queue
    for _ in range(5):
        offer(over(), under())
    policy.may.set()
    await emptied(shadow, 3)
    report = await shadow.report("rel_1")
    await shadow.stop()
    assert (report.counts[Kind.SAME], report.dropped) == (3, 3)


async def test_when_it_stops_what_waits_is_left_out_and_the_count_is_kept() -> None:
    policy, kept = Held(ALLOW), FakeTallies()
    shadow = Shadow("n1", kept, now=lambda: NOON)
    offer = shadow.beside(Candidate("rel_1", policy, ""))
    offer(over(), under())
    policy.asking.wait(10)
    offer(over(), under())
    stopping = asyncio.create_task(shadow.stop())
    await asyncio.sleep(0)  # it has left out what waits, and waits for the thread
    policy.may.set()
    await stopping
    assert kept.tallies["rel_1", "n1"] == Tally("rel_1", "n1", NOON, {Kind.SAME: 1}, 1)


async def test_the_report_is_of_every_process() -> None:
    other = Tally("rel_1", "n2", NOON, {Kind.NEWLY_ALLOWED: 4}, 1)
    kept = FakeTallies(other, Tally("rel_2", "n2", NOON, {Kind.SAME: 9}))
    shadow = Shadow("n1", kept, now=lambda: NOON)
    offer = shadow.beside(Candidate("rel_1", FixedPolicy(ALLOW), ""))
    offer(over(), under())
    await emptied(shadow, 5)
    report = await shadow.report("rel_1")
    assert (report.counts[Kind.SAME], report.counts[Kind.NEWLY_ALLOWED]) == (1, 4)
    assert (report.since, report.dropped) == (NOON, 1)
    await shadow.stop()
    assert await shadow.report("rel_1") == report
    assert kept.writes == 1


async def test_what_was_counted_is_kept_again_and_again_while_it_changes() -> None:
    kept = FakeTallies()
    shadow = Shadow("n1", kept, every=0.001, now=lambda: NOON)
    offer = shadow.beside(Candidate("rel_1", FixedPolicy(DENY), ""))
    for count in (1, 2):
        exchange = over()
        offer(exchange, under())
        while (
            not (tally := kept.tallies.get(("rel_1", "n1")))
            or tally.counts.get(Kind.NEWLY_DENIED) != count
        ):
            kept.kept.clear()
            await asyncio.wait_for(kept.kept.wait(), PATIENCE)
        assert exchange.id in {sample.exchange for sample in tally.samples}
    writes = kept.writes
    await shadow.stop()
    assert kept.writes == writes  # nothing was new


async def test_where_it_cannot_be_kept_counting_goes_on_and_it_is_kept_later() -> None:
    for failure in (Unavailable(Code.AUDIT_UNAVAILABLE, "away"), ZeroDivisionError()):
        kept = FakeTallies()
        kept.failing = failure
        shadow = Shadow("n1", kept, every=0.001, now=lambda: NOON)
        offer = shadow.beside(Candidate("rel_1", FixedPolicy(ALLOW), ""))
        await asyncio.wait_for(kept.kept.wait(), PATIENCE)
        offer(over(), under())
        kept.failing = None
        await emptied(shadow, 1)
        await shadow.stop()
        assert kept.tallies["rel_1", "n1"].counts == {Kind.SAME: 1}


async def test_a_database_that_is_away_at_the_end_keeps_nobody_from_ending() -> None:
    kept = FakeTallies()
    kept.failing = Unavailable(Code.AUDIT_UNAVAILABLE, "away")
    shadow = Shadow("n1", kept)
    shadow.beside(Candidate("rel_1", FixedPolicy(ALLOW), ""))
    await shadow.stop()
    assert (kept.writes, kept.tallies) == (1, {})


async def test_it_can_begin_again_after_it_stopped() -> None:
    kept = FakeTallies()
    shadow = Shadow("n1", kept)
    for count in (1, 2):
        offer = shadow.beside(Candidate("rel_1", FixedPolicy(ALLOW), ""))
        offer(over(), under())
        await emptied(shadow, count)
        await shadow.stop()
        assert kept.tallies["rel_1", "n1"].counts == {Kind.SAME: count}


async def test_the_verdict_that_counts_is_the_one_that_was_given() -> None:
    duty: tuple[str, Mapping[str, Any]] = ("label", {"labels": ["x"]})
    exchange = decided(chat_request(), allowing(duty))
    exchange.question = {}
    report = await asked(FixedPolicy(ALLOW), exchange)
    assert report.counts[Kind.NEWLY_CHANGED] == 1
