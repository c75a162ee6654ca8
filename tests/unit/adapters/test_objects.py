"""Object storage: a folder, and a bucket with object lock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.adapters.objects import open_objects
from gateway.core.objects import (
    ObjectDiffers,
    ObjectMissing,
    Objects,
    ObjectsError,
    PayloadObjects,
)
from tests.buckets import ACCESS, Bucket
from tests.fakes.objects import FakeObjects


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "folder":
        return open_objects(f"file://{tmp_path}/kept", {})
    bucket: Bucket = request.getfixturevalue("bucket")
    return open_objects(bucket.url("some/prefix"), bucket.access)


async def test_what_is_put_is_named(objects: Objects) -> None:
    assert await objects.names() == []
    await objects.put("a/one", b"1")
    await objects.put("two", b"2")
    await objects.put("two", b"3")
    assert sorted(await objects.names()) == ["a/one", "two"]


async def test_what_is_added_is_never_replaced(objects: Objects) -> None:
    await objects.add("a/one", b"1")
    await objects.add("a/one", b"1")
    with pytest.raises(ObjectDiffers):
        await objects.add("a/one", b"2")
    with pytest.raises(ObjectDiffers):
        await objects.add("a/one", b"")
    assert await objects.names() == ["a/one"]


async def test_a_folder_holds_the_bytes(tmp_path: Path) -> None:
    objects = open_objects(f"file://{tmp_path}/with%20space", {})
    await objects.put("a/one", b"\x00\xff")
    assert (tmp_path / "with space" / "a" / "one").read_bytes() == b"\x00\xff"


async def test_what_is_locked_cannot_be_deleted(bucket: Bucket) -> None:
    objects = open_objects(bucket.url("p"), bucket.access)
    await objects.put("one", b"first")
    await objects.put("one", b"second")
    versions = bucket.versions()
    assert [key for key, _ in versions] == ["p/one", "p/one"]
    assert {bucket.delete(*each) for each in versions} == {403}
    assert bucket.versions() == versions


async def test_a_bucket_that_is_not_there_is_an_error(s3: str) -> None:
    objects = open_objects("s3://no-such-bucket/p", ACCESS | {"endpoint": s3})
    with pytest.raises(ObjectsError):
        await objects.put("one", b"1")
    with pytest.raises(ObjectsError):
        await objects.add("one", b"1")
    with pytest.raises(ObjectsError):
        await objects.names()


async def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    objects = open_objects(f"file://{tmp_path}/kept", {})
    (tmp_path / "kept" / "a").write_text("no folder")
    with pytest.raises(ObjectsError):
        await objects.add("a/one", b"1")


@pytest.mark.parametrize("url", ["", "kept", "file:kept", "file://host/kept", "s3:///p", "ftp://h"])
def test_what_is_no_place_is_refused(url: str) -> None:
    with pytest.raises(ObjectsError, match="no place for objects"):
        open_objects(url, {})


@pytest.fixture(params=["folder", "bucket", "fake"])
def payloads(request: pytest.FixtureRequest, tmp_path: Path) -> PayloadObjects:
    if request.param == "fake":
        return FakeObjects()
    if request.param == "folder":
        return open_objects(f"file://{tmp_path}/kept", {})
    bucket: Bucket = request.getfixturevalue("bucket")
    return open_objects(bucket.url("some/prefix"), bucket.access)


async def test_what_is_put_is_read_and_removed(payloads: PayloadObjects) -> None:
    await payloads.put("parts/a", b"1")
    await payloads.put("parts/a", b"\x00\xff")
    await payloads.put("other/a", b"2")
    assert await asyncio.to_thread(payloads.read, "parts/a") == b"\x00\xff"
    listed = [each for some in payloads.listed("parts") for each in some]
    assert [name for name, _ in listed] == ["parts/a"]
    assert abs(datetime.now(UTC) - listed[0][1]) < timedelta(minutes=5)
    payloads.remove(["parts/a", "parts/none"])
    payloads.remove(["parts/a"])
    with pytest.raises(ObjectMissing):
        payloads.read("parts/a")
    assert [each for some in payloads.listed("parts") for each in some] == []
    assert payloads.read("other/a") == b"2"


async def test_a_bucket_that_is_not_there_cannot_be_read(s3: str) -> None:
    objects = open_objects("s3://no-such-bucket/p", ACCESS | {"endpoint": s3})
    with pytest.raises(ObjectsError):
        list(objects.listed("parts"))
    with pytest.raises(ObjectsError):
        objects.read("parts/a")


async def test_a_name_that_leads_elsewhere_is_an_error(tmp_path: Path) -> None:
    objects = open_objects(f"file://{tmp_path}/kept", {})
    (tmp_path / "secret").write_text("s")
    with pytest.raises(ObjectsError):
        objects.read("parts/../../secret")
