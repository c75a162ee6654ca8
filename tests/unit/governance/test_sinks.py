"""Sinks get every leaf in order, whatever breaks: at least once, by one process at a time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from gateway.adapters.keyring import Keyring
from gateway.adapters.sinks.file import FileSink
from gateway.adapters.store.followers import SqlFollowers
from gateway.adapters.store.log_reading import SqlLogReader
from gateway.core.errors import Denied
from gateway.core.exports import (
    Delivery,
    Followers,
    LogBroken,
    LogReader,
    Record,
    Sink,
    SinkError,
    Stretch,
)
from gateway.core.principal import Principal
from gateway.core.roles import Role
from gateway.governance.formats import FORMATS
from gateway.governance.formats.view import view_of
from gateway.governance.sinks import LONGEST_WAIT, Feed, Sinks, wait
from tests.contracts.journals import SqlLedger
from tests.databases import Database
from tests.unit.adapters.store.logs import exchange, leaves, log_of

T = TypeVar("T")
EXCHANGES = 60


async def at_once(work: Callable[[], T], /) -> T:
    return await asyncio.to_thread(work)


class Kept:
    """A sink that keeps what it gets; while `away` is positive it counts down and fails."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.lines: list[bytes] = []

    async def send(self, delivery: Delivery) -> None:
        if self.away:
            self.away -= 1
            raise SinkError("it answers 503")
        self.lines += delivery.lines

    async def stop(self) -> None:
        pass


def covered(lines: Sequence[bytes]) -> list[int]:
    """The leaves that the lines speak of, each once, in order."""
    runs = [run for line in lines for run in json.loads(line)["leaves"]]
    return sorted({place for first, last in runs for place in range(first, last + 1)})


class House:
    """A log with some exchanges, and feeds over it, each as a process of its own has them."""

    def __init__(self, url: str, size: int) -> None:
        self.url, self.size = url, size
        self.reader = SqlLogReader(url)
        self._open: list[SqlFollowers] = []

    def followers(self, claim: float = 60) -> SqlFollowers:
        made = SqlFollowers(self.url, at_once, claim=timedelta(seconds=claim))
        self._open.append(made)
        return made

    def feed(self, sink: Sink, followers: Followers | None = None) -> Feed:
        return Feed("one", sink, written, self.reader, followers or self.followers())

    async def stop(self) -> None:
        await self.reader.stop()
        for one in self._open:
            await one.stop()


async def written(records: Sequence[Record]) -> Sequence[bytes]:
    return [FORMATS["jsonl"].line(view_of(record, str)) for record in records]


@pytest.fixture
async def house(database: Database, keyring: Keyring, tmp_path: Path) -> AsyncIterator[House]:
    async with SqlLedger.on(database.url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        await asyncio.gather(*(exchange(ledger) for _ in range(EXCHANGES)))
        log.catch_up()
        house = House(database.url, len(leaves(ledger)))
        yield house
        await house.stop()


async def drained(feed: Feed) -> int:
    """Step until nothing is left, whatever fails on the way; how often it failed."""
    failures = 0
    while True:
        try:
            if not await feed.step():
                return failures
        except SinkError as error:
            failures += 1
            await feed.failed(error)


async def test_every_leaf_is_sent_in_order_and_once(house: House) -> None:
    sink = Kept()
    assert await drained(house.feed(sink)) == 0
    assert covered(sink.lines) == list(range(house.size))
    places = [json.loads(line)["leaf_index"] for line in sink.lines]
    assert places == sorted(set(places))
    assert len(sink.lines) == EXCHANGES


async def test_what_is_told_with_its_content_is_on_record_before_it_is_read(house: House) -> None:
    done: list[str] = []

    async def announce(begin: int) -> None:
        done.append(f"announced {begin}")
        if len(done) == 1:
            raise SinkError("the database is away")

    async def write(records: Sequence[Record]) -> Sequence[bytes]:
        done.append("read")
        return await written(records)

    sink = Kept()
    feed = Feed("one", sink, write, house.reader, house.followers(), announce)
    with pytest.raises(SinkError):
        await feed.step()
    assert (done, sink.lines) == (["announced 0"], [])
    await drained(feed)
    assert done[1:3] == ["announced 0", "read"]
    assert not [each for each in done[3:] if each != "read"]
    assert covered(sink.lines) == list(range(house.size))


async def test_a_sink_that_is_away_is_waited_for_and_nothing_is_dropped(house: House) -> None:
    sink, followers = Kept(away=3), house.followers()
    feed = house.feed(sink, followers)
    with pytest.raises(SinkError):
        await feed.step()
    await feed.failed(SinkError("it answers 503"))
    (stands,) = await followers.standing([feed.name])
    assert (stands.position, stands.failed) == (0, "SinkError: it answers 503")
    assert await drained(feed) == 2
    assert covered(sink.lines) == list(range(house.size))
    (stands,) = await followers.standing([feed.name])
    assert (stands.position, stands.failed) == (house.size, None)


async def test_of_two_replicas_one_sends(house: House) -> None:
    one, other = Kept(), Kept()
    first, second = house.feed(one), house.feed(other)
    assert await first.step() > 0
    assert await second.step() == 0
    await drained(first)
    assert other.lines == []
    await first.stop()
    assert await second.step() == 0
    assert covered(one.lines) == list(range(house.size))


async def test_the_other_goes_on_when_the_claim_is_over(house: House) -> None:
    one, other = Kept(), Kept()
    assert await house.feed(one, house.followers(claim=0)).step() > 0  # and then it hangs
    await drained(house.feed(other))
    assert covered([*one.lines, *other.lines]) == list(range(house.size))


async def test_two_that_both_think_they_hold_it_leave_no_gap(house: House) -> None:
    sink = Kept()
    feeds = [house.feed(sink, house.followers(claim=0)) for _ in range(2)]
    await asyncio.gather(*(drained(feed) for feed in feeds))
    await drained(feeds[0])
    assert covered(sink.lines) == list(range(house.size))


class Dies:
    """Followers of a process that is killed between sending and noting that it has sent."""

    def __init__(self, inner: Followers) -> None:
        self._inner = inner
        self.position, self.claim = inner.position, inner.claim

    async def advance(self, name: str, begin: int, end: int) -> bool:
        if begin > 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return await self._inner.advance(name, begin, end)


def until_killed(url: str, path: Path) -> None:
    """What the other process does."""

    async def follow() -> None:
        followers = SqlFollowers(url, at_once, claim=timedelta(0))
        sink, reader = FileSink(path, 1 << 30), SqlLogReader(url)
        feed = Feed("one", sink, written, reader, Dies(followers))  # type: ignore[arg-type]
        await drained(feed)

    asyncio.run(follow())


async def test_a_kill_between_sending_and_noting_doubles_lines_and_loses_none(
    house: House, tmp_path: Path
) -> None:
    path = tmp_path / "records.jsonl"
    program = (
        "import sys; from pathlib import Path; from tests.unit.governance import test_sinks\n"
        "test_sinks.until_killed(sys.argv[1], Path(sys.argv[2]))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, house.url, str(path)
    )
    assert await process.wait() == -signal.SIGKILL
    before = path.read_bytes().splitlines()
    path.write_bytes(path.read_bytes() + b'{"cut off')
    await drained(house.feed(FileSink(path, 1 << 30)))
    after = [line for line in path.read_bytes().splitlines() if line != b'{"cut off']
    assert after[: len(before)] == before
    assert len(after) > len(set(after))
    assert covered(after) == list(range(house.size))


class Hole:
    """A log whose third leaf is gone."""

    async def size(self) -> int:
        return 9

    async def read(self, begin: int, most: int) -> Stretch:
        raise LogBroken("the log lacks leaf 2")


async def test_a_hole_in_the_log_stops_the_sink(house: House) -> None:
    sink = Kept()
    reader: LogReader = Hole()
    with pytest.raises(LogBroken):
        await Feed("one", sink, written, reader, house.followers()).step()
    assert sink.lines == []


async def test_the_tasks_feed_every_sink_and_say_how_they_stand(house: House) -> None:
    done = asyncio.Event()

    class Last(Kept):
        async def send(self, delivery: Delivery) -> None:
            await super().send(delivery)
            if delivery.end == house.size:
                done.set()

    followers, sink = house.followers(), Last()
    sinks = Sinks([house.feed(sink, followers)], followers, house.reader)
    sinks.start()
    async with asyncio.timeout(60):
        await done.wait()
    await sinks.stop()
    assert covered(sink.lines) == list(range(house.size))
    who = Principal("acme", "t", "a", "k", roles=(Role.ADMIN,))
    size, (stands,) = await sinks.standing(who)
    assert (size, stands.name) == (house.size, "sink/one")
    with pytest.raises(Denied):
        await sinks.standing(Principal("acme", "t", "a", "k", roles=(Role.DEVELOPER,)))


def test_waits_grow_and_are_bounded() -> None:
    assert wait(1) <= 1.0
    assert all(LONGEST_WAIT / 2 <= wait(failures) <= LONGEST_WAIT for failures in (7, 50, 5_000))
