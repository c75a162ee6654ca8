"""Who may place a hold, who may lift it, and what of it is on record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from gateway.adapters.keyring import Keyring
from gateway.core.erasures import UnderHold
from gateway.core.legal_holds import Wanted
from gateway.core.records import Kind
from tests.databases import Database
from tests.erasures import ANN, BOB, OFFICER, OTHER, Office, office

HOUR = timedelta(hours=1)


@pytest.fixture
async def desk(database: Database, keyring: Keyring, tmp_path: Path) -> AsyncIterator[Office]:
    async with office(database.url, keyring, tmp_path) as running:
        yield running


async def test_one_places_one_asks_another_lifts(desk: Office) -> None:
    hold = await desk.holds.place("acme", Wanted(subject="user:ann"), "a case", OFFICER)
    with pytest.raises(ValueError, match="nobody has asked"):
        await desk.holds.lift("acme", hold.id, OTHER)
    await desk.holds.ask_lift("acme", hold.id, OFFICER)
    with pytest.raises(ValueError, match="already"):
        await desk.holds.ask_lift("acme", hold.id, OTHER)
    with pytest.raises(ValueError, match="another person"):
        await desk.holds.lift("acme", hold.id, OFFICER)
    await desk.holds.lift("acme", hold.id, OTHER)
    for again in (desk.holds.lift, desk.holds.ask_lift):
        with pytest.raises(ValueError, match="stands"):
            await again("acme", hold.id, OTHER)
    (known,) = await desk.holds.listed("acme")
    assert (known.placed_by, known.lift_asked_by, known.lifted_by) == (
        "cli:officer",
        "cli:officer",
        "cli:other",
    )
    assert known.lifted_at is not None
    kinds = (Kind.HOLD_PLACED, Kind.HOLD_LIFT_ASKED, Kind.HOLD_LIFTED)
    told = [(await desk.acts(kind))[0] for kind in kinds]
    assert [entry.facts["hold"] for entry in told] == [hold.id] * 3
    assert told[0].facts["by"] == ["subject"]
    assert told[0].parts["reason"] == b"a case"
    assert orjson.loads(told[0].parts["scope"]) == hold.scope.as_json()
    assert "ann" not in str(hold.scope.as_json())


async def test_holds_of_another_organisation_are_not_seen(desk: Office) -> None:
    hold = await desk.holds.place("acme", Wanted(), "a case", OFFICER)
    assert await desk.holds.listed("other") == []
    with pytest.raises(ValueError, match="no hold"):
        await desk.holds.ask_lift("other", hold.id, OTHER)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Wanted(), " "),
        (Wanted(value=" \u200b"), "a case"),
        (Wanted(since=datetime(2026, 1, 1)), "a case"),
    ],
)
async def test_what_says_nothing_is_refused(desk: Office, wanted: Wanted, reason: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        await desk.holds.place("acme", wanted, reason, OFFICER)
    assert await desk.holds.listed("acme") == []


async def test_each_member_of_a_scope_is_asked_of_what_is_erased(desk: Office) -> None:
    id = await desk.exchange("user:ann", ANN)
    other = await desk.exchange("user:bob", BOB)
    now = datetime.now(UTC)
    covering = [
        Wanted(),
        Wanted(team="support", app="shop-bot"),
        Wanted(subject="user:ann"),
        Wanted(value=ANN.text.upper()),
        Wanted(exchanges=(id,)),
        Wanted(since=now - HOUR, until=now + HOUR),
    ]
    beside = [
        Wanted(team="sales"),
        Wanted(app="shop-bot", subject="user:bob"),
        Wanted(value=BOB.text),
        Wanted(exchanges=(other,)),
        Wanted(since=now + HOUR),
        Wanted(until=now - HOUR),
    ]
    for wanted in covering:
        hold = await desk.holds.place("acme", wanted, "a case", OFFICER)
        for work in (
            desk.erasures.erase_subject("acme", "user:ann", OFFICER, "asked"),
            desk.erasures.erase_value("acme", None, ANN.text, OFFICER, "asked"),
        ):
            with pytest.raises(UnderHold) as refused:
                await work
            assert refused.value.holds == (hold.id,)
        await desk.holds.ask_lift("acme", hold.id, OFFICER)
        await desk.holds.lift("acme", hold.id, OTHER)
    for wanted in beside:
        await desk.holds.place("acme", wanted, "a case", OFFICER)
    assert (await desk.erasures.erase_value("acme", None, ANN.text, OFFICER, "asked")).keys
    assert (await desk.erasures.erase_subject("acme", "user:ann", OFFICER, "asked")).keys
