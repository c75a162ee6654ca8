"""Exceptions that ended are on record, once, whichever node looks first."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gateway.core.errors import Code, Unavailable
from gateway.core.policies import PolicyStore
from gateway.core.records import Kind
from tests.fakes.journal import FakeJournal
from tests.fakes.packs import files
from tests.fakes.policies import FakePolicies
from tests.policymaking import House

ENDS = {"rule": "house.mask", "until": "2026-11-23T12:30:00", "when": {}}
LATER = {**ENDS, "until": "2026-11-24T12:30:00"}
PACK = files(exceptions={"exception:a": ENDS, "exception:b": LATER})


async def nodes(count: int) -> list[House]:
    store: PolicyStore = FakePolicies()
    journal = FakeJournal()
    houses = [House(store=store, journal=journal) for _ in range(count)]
    await houses[0].rollouts.begin(PACK)
    return houses


async def test_each_end_is_on_record_once() -> None:
    houses = await nodes(4)
    assert [await house.expiries.look() for house in houses] == [0] * 4
    for house in houses:
        house.at += timedelta(hours=1)
    assert sum(await asyncio.gather(*(house.expiries.look() for house in houses))) == 1
    (entry,) = houses[0].noted(Kind.POLICY_EXCEPTION_EXPIRED)
    assert entry.facts == {
        "exception": "exception:a", "rule": "house.mask", "until": "2026-11-23T12:30:00",
    }  # fmt: skip
    for house in houses:
        house.at += timedelta(days=2)
        await house.expiries.look()
    told = [entry.facts["exception"] for entry in house.noted(Kind.POLICY_EXCEPTION_EXPIRED)]
    assert told == ["exception:a", "exception:b"]


async def test_one_that_was_not_recorded_is_another_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    dead, alive = await nodes(2)
    dead.at = alive.at = alive.at + timedelta(hours=1)
    journal = dead.journal
    assert isinstance(journal, FakeJournal)
    journal.failing = Unavailable(Code.AUDIT_UNAVAILABLE, "away")
    with pytest.raises(Unavailable):
        await dead.expiries.look()
    journal.failing = None
    assert await alive.expiries.look() == 0, "the other may still be at it"
    monkeypatch.setattr("gateway.governance.policies.expiries.PATIENCE", 0.0)
    assert await alive.expiries.look() == 1


async def test_nothing_in_force_has_no_end() -> None:
    assert await House().expiries.look() == 0
