"""What stands is changed at once, and what does not any more ends with its last exchange."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.errors import Code, Unavailable
from gateway.core.exchange import Exchange
from gateway.core.policies import Canary
from gateway.governance.policies.live import InForce, LivePolicy, Revision, Trial
from tests.exchanges import SOMEBODY, chat_request, exchange_of
from tests.fakes.policy import ALLOW, FixedPolicy
from tests.unit.governance.policies.building import stage_of


def revision(name: str, closed: list[str]) -> Revision:
    async def close() -> None:
        closed.append(name)

    return Revision(name, stage_of(name), FixedPolicy(ALLOW, name), close=close)


def coming(org: str = "acme", team: str = "support") -> Exchange:
    exchange = exchange_of(chat_request())
    exchange.principal = replace(SOMEBODY, org=org, team=team)
    return exchange


async def test_before_anything_is_in_force_nothing_passes() -> None:
    with pytest.raises(Unavailable) as refused:
        LivePolicy().choose(coming())
    assert refused.value.code is Code.POLICY_UNAVAILABLE


async def test_an_exchange_keeps_its_revision_and_the_next_has_the_new_one() -> None:
    closed: list[str] = []
    one, other = revision("one", closed), revision("other", closed)
    live = LivePolicy()
    assert live.put(InForce(1, "r1", one)) is None
    async with coming() as first:
        assert live.choose(first) is one.stage
        before = live.put(InForce(2, "r2", other))
        assert before is not None
        await before.active.retire()
        async with coming() as second:
            assert live.choose(second) is other.stage
        assert closed == []
        assert (one.running, other.running) == (1, 0)
    assert closed == ["one"]


async def test_what_nobody_passes_is_closed_at_once_and_only_once() -> None:
    closed: list[str] = []
    one = revision("one", closed)
    await one.retire()
    await one.retire()
    assert closed == ["one"]


async def test_an_exchange_that_falls_on_the_trial_passes_that() -> None:
    closed: list[str] = []
    one, tried = revision("one", closed), revision("tried", closed)
    live = LivePolicy()
    live.put(InForce(1, "r1", one, Trial("r2", Canary(teams=("lab",)), tried)))
    async with coming() as here, coming(team="lab") as there:
        assert live.choose(here) is one.stage
        assert live.choose(there) is tried.stage


async def test_what_is_asked_beside_hears_of_what_passed_the_active_revision_once_it_is_over() -> (
    None
):
    told: list[tuple[str, str]] = []
    one, tried = revision("one", []), revision("tried", [])
    live = LivePolicy()
    trial = Trial("r2", Canary(teams=("lab",)), tried)
    live.put(InForce(1, "r1", one, trial, lambda e, under: told.append((e.id, under.revision))))
    async with coming() as here, coming(team="lab") as there:
        live.choose(here)
        live.choose(there)
        assert told == []
    assert told == [(here.id, "one")]


@pytest.mark.parametrize(
    ("strict", "org", "refused"),
    [((), "acme", False), (("acme",), "acme", True), (("acme",), "x", False), (("*",), "x", True)],
)
def test_strict_organisations_are_refused_once_nobody_knows_what_stands(
    strict: tuple[str, ...], org: str, refused: bool
) -> None:
    clock = [1_000.0]
    live = LivePolicy(strict, 300.0, lambda: clock[0])
    clock[0] += 300.0
    assert live.stale(coming(org)) is None
    clock[0] += 0.1
    assert (live.stale(coming(org)) is not None) is refused
    live.in_step()
    assert live.stale(coming(org)) is None
    live.in_step(ago=301.0)
    assert (live.stale(coming(org)) is not None) is refused
