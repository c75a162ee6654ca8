"""An archive has each exchange once, however its runs were cut off."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.archive import ArchivedExchange, Stretch
from gateway.governance.archives import ArchiveError, Archives

BEGIN = datetime(2026, 10, 30, tzinfo=UTC)


def ended(number: int) -> ArchivedExchange:
    started = BEGIN + timedelta(days=number)
    return ArchivedExchange(
        f"exc_{number:06}", started, started, "acme", "t", "a", "k", None, None, None, None,
        "completed", None, None, None, None, [], [], [], 1, 2, 3, True, 1, 4, [number], ["00"],
    )  # fmt: skip


class Crash(Exception):
    """The process dies."""


class Log:
    """A log in which every leaf is an exchange that ends there."""

    def __init__(self, size: int = 0, most: int = 3) -> None:
        self.size, self.most, self.done = size, most, 0
        self.claimed = False

    async def claim(self) -> bool:
        taken, self.claimed = not self.claimed, True
        return taken

    async def release(self) -> None:
        self.claimed = False

    async def position(self) -> int:
        return self.done

    async def read(self, begin: int, end: int | None) -> Stretch | None:
        last = min(begin + self.most, self.size) if end is None else end
        if last <= begin or last > self.size:
            return None
        return Stretch(begin, last, [ended(number) for number in range(begin, last)])

    async def move(self, begin: int, end: int) -> bool:
        if self.done != begin:
            return False
        self.done = end
        return True


class Shelf:
    """Objects in memory, which die after some writes."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.left: int | None = None

    async def put(self, name: str, content: bytes) -> None:
        if self.left == 0:
            raise Crash
        self.left = None if self.left is None else self.left - 1
        self.kept[name] = content

    async def add(self, name: str, content: bytes) -> None:
        raise AssertionError("an archive's files can be written again")

    async def names(self) -> list[str]:
        return list(self.kept)

    def ids(self) -> list[str]:
        return sorted(id for each in self.kept.values() for id in each.decode().split())


async def packed(exchanges: Sequence[ArchivedExchange]) -> bytes:
    return " ".join(one.exchange_id for one in exchanges).encode()


def archives(log: Log, shelf: Shelf, noted: list[str] | None = None) -> Archives:
    async def note() -> None:
        if noted is not None:
            noted.append("handed out")

    return Archives(log, shelf, packed, note)


@given(
    runs=st.lists(
        st.tuples(st.integers(0, 7), st.none() | st.integers(0, 4), st.integers(1, 5)), max_size=8
    )
)
async def test_every_exchange_is_in_it_once(runs: list[tuple[int, int | None, int]]) -> None:
    log, shelf = Log(), Shelf()
    for grown, crash, most in [*runs, (1, None, 2)]:
        log.size += grown
        log.most, shelf.left = most, crash
        try:
            await archives(log, shelf).run()
        except Crash:
            continue
    assert shelf.ids() == [ended(number).exchange_id for number in range(log.size)]


async def test_files_are_by_month_and_named_by_leaves() -> None:
    log, shelf = Log(5), Shelf()
    done = await archives(log, shelf).run()
    assert (done.exchanges, done.files, done.end) == (5, 3, 5)
    assert sorted(shelf.kept) == [
        "year=2026/month=10/exchanges-000000000000-000000000003.parquet",
        "year=2026/month=11/exchanges-000000000000-000000000003.parquet",
        "year=2026/month=11/exchanges-000000000003-000000000005.parquet",
    ]


async def test_a_run_without_news_writes_nothing() -> None:
    log, shelf, noted = Log(4), Shelf(), []
    await archives(log, shelf, noted).run()
    before = dict(shelf.kept)
    done = await archives(log, shelf, noted).run()
    assert (done.exchanges, done.files, shelf.kept) == (0, 0, before)
    assert noted == ["handed out"]


async def test_a_log_that_forgot_how_far_it_was_writes_the_same_again() -> None:
    log, shelf = Log(7), Shelf()
    await archives(log, shelf).run()
    before = dict(shelf.kept)
    log.done, log.most = 0, 2
    await archives(log, shelf).run()
    assert shelf.kept == before


async def test_only_one_writes() -> None:
    log = Log(1)
    log.claimed = True
    with pytest.raises(ArchiveError, match="another process"):
        await archives(log, Shelf()).run()
    assert log.claimed


@pytest.mark.parametrize(
    ("stretch", "why"),
    [("000000000001-000000000002", "no stretch"), ("000000000000-000000000009", "does not")],
)
async def test_another_logs_archive_is_left_alone(stretch: str, why: str) -> None:
    log, shelf = Log(4), Shelf()
    shelf.kept[f"year=2026/month=10/exchanges-{stretch}.parquet"] = b""
    with pytest.raises(ArchiveError, match=why):
        await archives(log, shelf).run()
    assert len(shelf.kept) == 1
    assert not log.claimed


async def test_other_files_are_nothing_to_it() -> None:
    log, shelf = Log(1), Shelf()
    shelf.kept["readme.txt"] = b"exc_x"
    await archives(log, shelf).run()
    assert sum(bool(re.match("year=", name)) for name in shelf.kept) == 1
