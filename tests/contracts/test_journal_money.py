"""Law 3: what is reserved is settled exactly once, and spend never exceeds the limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from gateway.adapters.keyring import Keyring
from gateway.core.errors import OverBudget
from gateway.core.ids import new_id
from gateway.core.money import Money
from gateway.core.ports import Record
from gateway.core.records import Receipt
from tests.contracts.journals import (
    FakeLedger,
    Ledger,
    SqlLedger,
    attempt,
    closed,
    opened,
    principal,
)

LIMIT = 1_000
AMOUNTS = st.integers(min_value=0, max_value=LIMIT + 1)


class Spending(RuleBasedStateMachine):
    """Exchanges that hold and spend of one budget, against the arithmetic it should obey."""

    exchanges = Bundle("exchanges")
    ended = Bundle("ended")

    def __init__(self, ledger: Ledger, runner: asyncio.Runner) -> None:
        super().__init__()
        self.ledger = ledger
        self.runner = runner
        self.budget_id = ledger.budget(LIMIT)
        self.held: dict[Record, int] = {}
        self.settled = 0

    @property
    def room(self) -> int:
        return LIMIT - self.settled - sum(self.held.values())

    def begin(self) -> Record:
        record = self.ledger.journal.begin(new_id("exc"), principal(self.budget_id), opened())
        self.held[record] = 0
        return record

    @rule(target=exchanges, amounts=st.lists(AMOUNTS, min_size=1, max_size=6))
    def open_together(self, amounts: list[int]) -> object:
        records = [self.begin() for _ in amounts]
        self.hold(list(zip(records, amounts, strict=True)))
        return multiple(*records)

    @rule(record=exchanges, amount=AMOUNTS)
    def hold_more(self, record: Record, amount: int) -> None:
        self.hold([(record, amount)])

    @rule(
        target=ended,
        record=consumes(exchanges),
        share=st.integers(min_value=0, max_value=100),
        times=st.integers(min_value=1, max_value=3),
    )
    def close(self, record: Record, share: int, times: int) -> Record:
        spent = self.held.pop(record) * share // 100
        self.settled += spent

        async def work() -> list[Receipt]:
            closings = [record.close(closed(), Money(spent)) for _ in range(times)]
            return await asyncio.gather(*closings)

        assert len(set(self.runner.run(work()))) == 1
        return record

    @rule(record=ended, spent=AMOUNTS)
    def close_again(self, record: Record, spent: int) -> None:
        self.runner.run(self.only(record.close(closed(), Money(spent))))

    @rule(record=consumes(exchanges), amount=st.integers(min_value=1, max_value=LIMIT))
    def give_up_while_holding_then_close(self, record: Record, amount: int) -> None:
        async def work() -> None:
            waiting = asyncio.ensure_future(record.append(attempt(), Money(amount)))
            await asyncio.sleep(0)
            waiting.cancel()
            await record.close(closed("cancelled"), Money(0))

        self.runner.run(work())
        del self.held[record]

    def hold(self, wanted: list[tuple[Record, int]]) -> None:
        """Hold several amounts at once: first come, first served."""

        async def work() -> list[Receipt | BaseException]:
            holds = [record.append(attempt(), Money(amount)) for record, amount in wanted]
            return await asyncio.gather(*holds, return_exceptions=True)

        for (record, amount), result in zip(wanted, self.runner.run(work()), strict=True):
            if amount == 0 or amount <= self.room:
                assert isinstance(result, Receipt)
                self.held[record] += amount
            else:
                assert isinstance(result, OverBudget)
                assert result.remaining == self.room

    @staticmethod
    async def only(work: object) -> None:
        await work  # type: ignore[misc]

    @invariant()
    def the_counters_are_right(self) -> None:
        reserved, settled = self.ledger.figures(self.budget_id)
        assert (reserved, settled) == (sum(self.held.values()), self.settled)
        assert reserved + settled <= LIMIT

    def teardown(self) -> None:
        for record in list(self.held):
            self.runner.run(self.only(record.close(closed(), Money(0))))
            del self.held[record]
        self.the_counters_are_right()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


def run(machine: Callable[[], Spending], examples: settings) -> None:
    # Hypothesis takes any maker of machines, and declares only classes.
    run_state_machine_as_test(machine, settings=examples)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["fake", "sqlite", "postgresql"])
def test_reserved_is_settled_once_and_never_above_the_limit(
    kind: str, runner: asyncio.Runner, keyring: Keyring, request: pytest.FixtureRequest
) -> None:
    examples = settings(max_examples=60 if kind == "fake" else 20, stateful_step_count=15)
    if kind == "fake":
        ledger = FakeLedger()
        run(lambda: Spending(ledger, runner), examples)
        return
    running = SqlLedger.on(request.getfixturevalue(f"{kind}_url"), keyring)
    sql = runner.run(running.__aenter__())
    try:
        run(lambda: Spending(sql, runner), examples)
    finally:
        runner.run(running.__aexit__(None, None, None))
