"""Records as objects in a bucket, of a real S3 server: none is lost, whatever breaks."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gateway.adapters.keyring import Keyring
from gateway.adapters.objects import StoredObjects, open_objects
from gateway.adapters.sinks.bucket import BucketSink
from gateway.adapters.store.followers import SqlFollowers
from gateway.adapters.store.log_reading import SqlLogReader
from gateway.core.exports import Delivery, SinkError
from gateway.governance.sinks import Feed
from tests.buckets import ACCESS, Bucket
from tests.contracts.journals import SqlLedger
from tests.unit.adapters.store.logs import exchange, leaves, log_of
from tests.unit.governance.test_sinks import Dies, House, at_once, covered, drained, written


@pytest.fixture
def objects(bucket: Bucket) -> StoredObjects:
    return open_objects(bucket.url("records"), bucket.access)


@pytest.fixture
async def house(sqlite_url: str, keyring: Keyring, tmp_path: Path) -> AsyncIterator[House]:
    async with SqlLedger.on(sqlite_url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        await asyncio.gather(*(exchange(ledger) for _ in range(60)))
        log.catch_up()
        house = House(sqlite_url, len(leaves(ledger)))
        yield house
        await house.stop()


async def kept(objects: StoredObjects) -> dict[str, list[bytes]]:
    """The lines of each object, by its name."""
    return {name: objects.read(name).splitlines() for name in sorted(await objects.names())}


async def test_objects_are_named_by_their_leaves(objects: StoredObjects) -> None:
    sink = BucketSink(objects)
    await sink.send(Delivery(0, 128, [b"a", b"b"]))
    await sink.send(Delivery(128, 130, [b"c"]))
    await sink.send(Delivery(128, 130, [b"c"]))  # again, as after a crash
    await sink.stop()
    assert await kept(objects) == {
        "0000000000000000-0000000000000128.jsonl": [b"a", b"b"],
        "0000000000000128-0000000000000130.jsonl": [b"c"],
    }


async def test_who_comes_late_with_less_replaces_nothing(objects: StoredObjects) -> None:
    await BucketSink(objects).send(Delivery(0, 3, [b"a", b"b", b"c"]))
    await BucketSink(objects).send(Delivery(0, 1, [b"a"]))
    assert {line for lines in (await kept(objects)).values() for line in lines} == {
        b"a", b"b", b"c",
    }  # fmt: skip


async def test_every_leaf_arrives(house: House, objects: StoredObjects) -> None:
    assert await drained(house.feed(BucketSink(objects))) == 0
    found = await kept(objects)
    assert len(found) > 1
    assert covered([line for lines in found.values() for line in lines]) == list(range(house.size))


async def test_a_bucket_that_fails_is_waited_for(house: House, s3: str, bucket: Bucket) -> None:
    late = f"{bucket.name}late"
    objects = open_objects(f"s3://{late}/records", ACCESS | {"endpoint": s3})
    feed = house.feed(BucketSink(objects))
    with pytest.raises(SinkError):
        await feed.step()
    await asyncio.to_thread(httpx.put, f"{s3}/{late}")
    assert await drained(feed) == 0
    lines = [line for some in (await kept(objects)).values() for line in some]
    assert covered(lines) == list(range(house.size))


def until_killed(url: str, place: str, endpoint: str) -> None:
    """What the other process does: it dies between its second delivery and noting it."""

    async def follow() -> None:
        followers = SqlFollowers(url, at_once, claim=timedelta(0))
        sink = BucketSink(open_objects(place, ACCESS | {"endpoint": endpoint}))
        feed = Feed("one", sink, written, SqlLogReader(url), Dies(followers))  # type: ignore[arg-type]
        await drained(feed)

    asyncio.run(follow())


async def test_a_kill_between_sending_and_noting_loses_nothing(
    house: House, s3: str, bucket: Bucket
) -> None:
    plain = f"{bucket.name}plain"
    await asyncio.to_thread(httpx.put, f"{s3}/{plain}")
    place = f"s3://{plain}/records"
    program = (
        "import sys; from tests.unit.adapters.sinks import test_bucket\n"
        "test_bucket.until_killed(*sys.argv[1:])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, house.url, place, s3
    )
    assert await process.wait() == -signal.SIGKILL
    objects = open_objects(place, ACCESS | {"endpoint": s3})
    before = await kept(objects)
    assert len(before) == 2
    await drained(house.feed(BucketSink(objects)))
    after = await kept(objects)
    assert {name: after[name] for name in before} == before
    lines = [line for some in after.values() for line in some]
    assert len(lines) == len(set(lines))  # what was sent twice has one name
    assert covered(lines) == list(range(house.size))
