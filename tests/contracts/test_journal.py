"""What every journal promises: the fake's and SQL's, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.errors import Code, OverBudget, Unavailable
from gateway.core.ids import new_id
from gateway.core.money import Money
from gateway.core.records import Entry, Kind
from tests.contracts.journals import Ledger, attempt, closed, ledger, opened, principal

__all__ = ["ledger"]


async def kinds(ledger: Ledger, exchange_id: str) -> list[Kind]:
    return [entry.kind for entry in await ledger.entries(exchange_id)]


async def test_nothing_is_written_before_the_first_entry(ledger: Ledger) -> None:
    id = new_id("exc")
    ledger.journal.begin(id, principal(), opened())
    assert await ledger.entries(id) == []


async def test_opened_becomes_durable_with_the_first_entry(ledger: Ledger) -> None:
    id = new_id("exc")
    record = ledger.journal.begin(id, principal(), opened())
    await record.append(attempt())
    assert await ledger.entries(id) == [opened(), attempt()]


async def test_opened_may_be_made_durable_by_itself_once(ledger: Ledger) -> None:
    id = new_id("exc")
    budget_id = ledger.budget(100)
    record = ledger.journal.begin(id, principal(budget_id), opened())
    first = await record.open()
    assert await ledger.entries(id) == [opened()]
    assert record.opened == first == await record.open()
    await record.append(attempt(), Money(60))
    assert await record.open() == first
    await record.close(closed(), Money(40))
    assert await ledger.entries(id) == [opened(), attempt(), closed()]
    assert ledger.figures(budget_id) == (0, 40)


async def test_what_is_closed_is_not_opened_again(ledger: Ledger) -> None:
    record = ledger.journal.begin(new_id("exc"), principal(), opened())
    await record.close(closed("denied"), Money(0))
    with pytest.raises(Unavailable):
        await record.open()


async def test_the_receipt_of_opened_is_there_once_it_is_durable(ledger: Ledger) -> None:
    budget_id = ledger.budget(100)
    record = ledger.journal.begin(new_id("exc"), principal(budget_id), opened())
    assert record.opened is None
    with pytest.raises(OverBudget):
        await record.append(attempt(), Money(101))
    assert record.opened is None
    receipt = await record.append(attempt())
    first = record.opened
    assert first is not None
    assert first.entry_id != receipt.entry_id
    await record.close(closed(), Money(0))
    assert record.opened == first


async def test_a_refusal_is_opened_and_closed(ledger: Ledger) -> None:
    id = new_id("exc")
    record = ledger.journal.begin(id, principal(), opened())
    await record.close(closed("denied"), Money(0))
    assert await ledger.entries(id) == [opened(), closed("denied")]


async def test_entries_stand_in_the_order_written(ledger: Ledger) -> None:
    id = new_id("exc")
    record = ledger.journal.begin(id, principal(), opened())
    for number in range(1, 6):
        await record.append(attempt(number))
    await record.close(closed(), Money(0))
    written = [opened(), *map(attempt, range(1, 6)), closed()]
    assert await ledger.entries(id) == written


async def test_a_receipt_names_its_entry(ledger: Ledger) -> None:
    record = ledger.journal.begin(new_id("exc"), principal(), opened())
    receipts = [await record.append(attempt()), await record.close(closed(), Money(0))]
    assert len({receipt.entry_id for receipt in receipts}) == 2
    assert all(len(receipt.leaf) == 32 for receipt in receipts)


async def test_to_close_twice_changes_nothing(ledger: Ledger) -> None:
    budget_id, id = ledger.budget(1_000), new_id("exc")
    record = ledger.journal.begin(id, principal(budget_id), opened())
    await record.append(attempt(), Money(600))
    first = await record.close(closed(), Money(250))
    assert await record.close(closed("failed"), Money(999)) == first
    assert await ledger.entries(id) == [opened(), attempt(), closed()]
    assert ledger.figures(budget_id) == (0, 250)


async def test_to_close_twice_at_once_changes_nothing(ledger: Ledger) -> None:
    budget_id, id = ledger.budget(1_000), new_id("exc")
    record = ledger.journal.begin(id, principal(budget_id), opened())
    await record.append(attempt(), Money(600))
    one, other = await asyncio.gather(
        record.close(closed(), Money(250)), record.close(closed(), Money(250))
    )
    assert one == other
    assert await kinds(ledger, id) == [Kind.OPENED, Kind.ATTEMPT, Kind.CLOSED]
    assert ledger.figures(budget_id) == (0, 250)


async def test_nothing_follows_the_ending(ledger: Ledger) -> None:
    id = new_id("exc")
    record = ledger.journal.begin(id, principal(), opened())
    await record.close(closed(), Money(0))
    with pytest.raises(Unavailable) as refused:
        await record.append(attempt())
    assert refused.value.code is Code.AUDIT_UNAVAILABLE
    assert await kinds(ledger, id) == [Kind.OPENED, Kind.CLOSED]


async def test_a_hold_is_reserved_then_settled(ledger: Ledger) -> None:
    budget_id = ledger.budget(1_000)
    record = ledger.journal.begin(new_id("exc"), principal(budget_id), opened())
    await record.append(attempt(), Money(600))
    assert ledger.figures(budget_id) == (600, 0)
    assert ledger.journal.remaining(budget_id) == (400, 1_000)
    await record.append(attempt(2), Money(300))
    assert ledger.figures(budget_id) == (900, 0)
    await record.close(closed(), Money(250))
    assert ledger.figures(budget_id) == (0, 250)
    assert ledger.journal.remaining(budget_id) == (750, 1_000)


async def test_a_hold_that_does_not_fit_writes_nothing(ledger: Ledger) -> None:
    budget_id, id = ledger.budget(1_000), new_id("exc")
    record = ledger.journal.begin(id, principal(budget_id), opened())
    with pytest.raises(OverBudget) as refused:
        await record.append(attempt(), Money(1_001))
    assert refused.value.remaining == 1_000
    assert await ledger.entries(id) == []
    assert ledger.figures(budget_id) == (0, 0)


async def test_after_a_hold_that_does_not_fit_the_record_may_go_on(ledger: Ledger) -> None:
    budget_id, id = ledger.budget(1_000), new_id("exc")
    record = ledger.journal.begin(id, principal(budget_id), opened())
    with pytest.raises(OverBudget):
        await record.append(attempt(), Money(1_001))
    await record.append(attempt(2), Money(1_000))
    with pytest.raises(OverBudget):
        await record.append(attempt(3), Money(1))
    await record.close(closed("failed"), Money(7))
    assert await ledger.entries(id) == [opened(), attempt(2), closed("failed")]
    assert ledger.figures(budget_id) == (0, 7)


async def test_a_hold_that_does_not_fit_harms_no_neighbour(ledger: Ledger) -> None:
    budget_id = ledger.budget(1_000)
    records = [
        ledger.journal.begin(new_id("exc"), principal(budget_id), opened()) for _ in range(5)
    ]
    results = await asyncio.gather(
        *[record.append(attempt(), Money(300)) for record in records], return_exceptions=True
    )
    assert [isinstance(result, OverBudget) for result in results] == [False] * 3 + [True] * 2
    assert ledger.figures(budget_id) == (900, 0)


async def test_what_was_spent_is_posted_even_above_the_hold(ledger: Ledger) -> None:
    budget_id = ledger.budget(1_000)
    record = ledger.journal.begin(new_id("exc"), principal(budget_id), opened())
    await record.append(attempt(), Money(600))
    await record.close(closed(), Money(1_700))
    assert ledger.figures(budget_id) == (0, 1_700)
    assert ledger.journal.remaining(budget_id) == (0, 1_000)
    late = ledger.journal.begin(new_id("exc"), principal(budget_id), opened())
    with pytest.raises(OverBudget) as refused:
        await late.append(attempt(), Money(1))
    assert refused.value.remaining == 0


async def test_without_a_budget_nothing_is_held(ledger: Ledger) -> None:
    id = new_id("exc")
    record = ledger.journal.begin(id, principal(), opened())
    await record.append(attempt(), Money(10**12))
    await record.close(closed(), Money(10**12))
    assert await kinds(ledger, id) == [Kind.OPENED, Kind.ATTEMPT, Kind.CLOSED]


async def test_a_budget_that_does_not_exist_has_no_room(ledger: Ledger) -> None:
    record = ledger.journal.begin(new_id("exc"), principal("bud_unknown"), opened())
    with pytest.raises(OverBudget):
        await record.append(attempt(), Money(1))


async def test_money_is_never_negative(ledger: Ledger) -> None:
    record = ledger.journal.begin(new_id("exc"), principal(), opened())
    with pytest.raises(ValueError, match="negative"):
        await record.append(attempt(), Money(-1))
    with pytest.raises(ValueError, match="negative"):
        await record.close(closed(), Money(-1))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_who_stops_waiting_takes_nothing_back(ledger: Ledger, turns: int) -> None:
    budget_id, id = ledger.budget(1_000), new_id("exc")
    record = ledger.journal.begin(id, principal(budget_id), opened())
    waiting = asyncio.create_task(record.append(attempt(), Money(600)))
    await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)  # it may have been done before
    closing = asyncio.create_task(record.close(closed("cancelled"), Money(100)))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await record.close(closed("failed"), Money(999))
    assert await ledger.entries(id) == [opened(), attempt(), closed("cancelled")]
    assert ledger.figures(budget_id) == (0, 100)


async def test_many_exchanges_at_once_stay_apart(ledger: Ledger) -> None:
    budget_id = ledger.budget(10_000)
    ids = [new_id("exc") for _ in range(100)]

    async def one(number: int) -> None:
        record = ledger.journal.begin(ids[number], principal(budget_id), opened())
        await record.append(attempt(number), Money(100))
        await record.close(closed(), Money(number))

    await asyncio.gather(*map(one, range(100)))
    assert ledger.figures(budget_id) == (0, sum(range(100)))
    for number, id in enumerate(ids):
        assert await ledger.entries(id) == [opened(), attempt(number), closed()]


async def test_an_act_is_an_entry_of_its_own(ledger: Ledger) -> None:
    entry = Entry(Kind.AUDIT_READ, {"exchange": "exc_1"}, {"reason": b"case 7"})
    bare = Entry(Kind.HOLD_LIFTED, {"hold": "hld_1"})
    receipts = [await ledger.journal.note(principal(), one) for one in (entry, bare)]
    assert len({receipt.entry_id for receipt in receipts}) == 2
    acts = [await ledger.entries(act) for act in await ledger.acts()]
    assert acts == [[entry], [bare]]
