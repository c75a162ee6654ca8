"""Stops: who may, what they are called, and that they are on record before they hold."""

from __future__ import annotations

import pytest

from gateway.core.errors import Code, Denied, Unavailable
from gateway.core.policies import Missing, Stopped
from gateway.core.records import Kind
from gateway.governance.policies.desk import Terms
from tests.fakes.journal import FakeJournal
from tests.policymaking import ANN, BOB, CI, NOBODY, ROOT, House


async def test_what_is_stopped_stands_until_it_is_lifted() -> None:
    house = House()
    stop = await house.stops.stop(Stopped.APP, " shop-* ", " it leaks ", BOB)
    assert (stop.name, stop.reason, stop.by) == ("shop-*", "it leaks", "key_bob")
    assert list(await house.stops.standing()) == [stop]
    (entry,) = house.noted(Kind.POLICY_STOPPED)
    assert entry.facts == {"stop": stop.id, "what": "app"}
    assert entry.parts == {"name": b"shop-*", "reason": b"it leaks"}
    await house.stops.resume(stop.id, "fixed", ROOT)
    assert list(await house.stops.standing()) == []
    (entry,) = house.noted(Kind.POLICY_RESUMED)
    assert (entry.facts, entry.parts) == ({"stop": stop.id}, {"reason": b"fixed"})
    for id in (stop.id, "stp_9"):
        with pytest.raises(Missing):
            await house.stops.resume(id, "again", ROOT)


async def test_who_may() -> None:
    house = House()
    stop = await house.stops.stop(Stopped.KEY, "key_1", "stolen", NOBODY)  # from compliance
    with pytest.raises(Denied):
        await house.stops.stop(Stopped.KEY, "key_1", "stolen", CI)
    with pytest.raises(Denied):
        await house.stops.resume(stop.id, "mine", CI)
    await house.stops.resume(stop.id, "found", ANN)


@pytest.mark.parametrize(
    ("what", "name", "reason", "why"),
    [
        (Stopped.APP, "", "x", "a name"),
        (Stopped.TOOL, "a\nb", "x", "a name"),
        (Stopped.MODEL, "x" * 201, "x", "a name"),
        (Stopped.MODEL, "gpt", " ", "a reason"),
        (Stopped.EVERYTHING, "shop", "x", "no name"),
    ],
)
async def test_what_says_nothing_is_refused(
    what: Stopped, name: str, reason: str, why: str
) -> None:
    house = House()
    with pytest.raises(ValueError, match=why):
        await house.stops.stop(what, name, reason, BOB)
    assert list(await house.stops.standing()) == []


async def test_everything_has_one_name() -> None:
    house = House()
    for name in ("", "*"):
        assert (await house.stops.stop(Stopped.EVERYTHING, name, "fire", BOB)).name == "*"


async def test_files_of_the_operator_can_be_stopped_too() -> None:
    house = House(terms=Terms(fixed="policies/mine"))
    stop = await house.stops.stop(Stopped.EVERYTHING, "", "fire", BOB)
    await house.stops.resume(stop.id, "out", BOB)


async def test_nothing_is_stopped_off_the_record() -> None:
    journal = FakeJournal(failing=Unavailable(Code.AUDIT_UNAVAILABLE, "away"))
    house = House(journal=journal)
    with pytest.raises(Unavailable):
        await house.stops.stop(Stopped.EVERYTHING, "", "fire", BOB)
    assert list(await house.stops.standing()) == []
