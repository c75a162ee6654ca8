"""A batch comes to its end, whatever happens to its lines, its worker or its time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gateway.core.errors import Code, Denied, Malformed, Unavailable
from gateway.core.exchange import Call
from gateway.core.principal import Principal
from gateway.governance import batches
from gateway.governance.batches import Batches, BatchWorker
from gateway.governance.files import Files
from gateway.governance.unattended import Reply
from tests.fakes.shelf import FakeShelf

CHAT = "/v1/chat/completions"
WHO = Principal("acme", "sales", "shop", "k1")
OTHER = Principal("acme", "sales", "desk", "k2")


class Killed(BaseException):
    """The worker's process is no more."""


class House:
    """Files, batches and a worker over one shelf. Requests that say "no" are refused."""

    def __init__(self, together: int = 1) -> None:
        self.shelf = FakeShelf()
        self.files = Files(self.shelf, 10_000)
        self.batches = Batches(self.shelf, [CHAT])
        self.asked: list[str] = []
        self.before: Callable[[], Any] = lambda: None
        self.together = together

    async def run(self, endpoint: str, body: bytes, call: Call) -> Reply:
        assert (endpoint, call.principal) == (CHAT, WHO)
        said = json.loads(body)["messages"][0]["content"]
        self.asked.append(said)
        await self.before() if asyncio.iscoroutinefunction(self.before) else self.before()
        if said == "no":
            return Reply(400, "exc_no", {"error": {"code": "content_filter"}})
        return Reply(200, f"exc_{said}", {"choices": [said.upper()]})

    async def work(self) -> bool:
        return await BatchWorker(self.shelf, self.run, together=self.together).work()

    async def begin(self, *said: str) -> dict[str, Any]:
        lines = [
            {"custom_id": f"id-{place}", "method": "POST", "url": CHAT,
             "body": {"model": "m", "messages": [{"role": "user", "content": text}]}}
            for place, text in enumerate(said)
        ]  # fmt: skip
        content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        file = await self.files.upload(WHO, "in.jsonl", "batch", content)
        wish = {"endpoint": CHAT, "input_file_id": file["id"], "completion_window": "24h"}
        return await self.batches.create(WHO, {**wish, "metadata": {"a": "b"}})

    async def written(self, file_id: str | None) -> list[dict[str, Any]]:
        if file_id is None:
            return []
        content = await self.files.content(WHO, file_id)
        return [json.loads(line) for line in content.splitlines()]


async def test_every_line_is_an_exchange_and_stands_in_a_file() -> None:
    house = House()
    begun = await house.begin("one", "no", "three")
    assert (begun["status"], begun["metadata"]) == ("validating", {"a": "b"})
    assert await house.work()
    batch = await house.batches.get(WHO, begun["id"])
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    assert batch["in_progress_at"] <= batch["finalizing_at"] <= batch["completed_at"]
    good = await house.written(batch["output_file_id"])
    assert [row["custom_id"] for row in good] == ["id-0", "id-2"]
    assert good[0]["response"] == {
        "status_code": 200, "request_id": "exc_one", "body": {"choices": ["ONE"]},
    }  # fmt: skip
    [bad] = await house.written(batch["error_file_id"])
    assert (bad["custom_id"], bad["response"]["status_code"]) == ("id-1", 400)
    assert not await house.work()


async def test_lines_run_together_as_far_as_they_may() -> None:
    house = House(together=3)
    running = most = 0

    async def count() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running -= 1

    house.before = count
    begun = await house.begin(*map(str, range(9)))
    await house.work()
    assert most == 3
    assert sorted(house.asked) == sorted(map(str, range(9)))
    assert (await house.batches.get(WHO, begun["id"]))["request_counts"]["completed"] == 9


async def test_a_file_that_cannot_be_read_runs_nothing() -> None:
    house = House()
    file = await house.files.upload(WHO, "in.jsonl", "batch", b"{}\nnonsense")
    wish = {"endpoint": CHAT, "input_file_id": file["id"], "completion_window": "24h"}
    begun = await house.batches.create(WHO, wish)
    await house.work()
    batch = await house.batches.get(WHO, begun["id"])
    assert batch["status"] == "failed"
    assert [fault["line"] for fault in batch["errors"]["data"]] == [1, 2]
    assert not house.asked


async def test_a_file_that_was_deleted_fails_the_batch() -> None:
    house = House()
    begun = await house.begin("one")
    await house.files.delete(WHO, begun["input_file_id"])
    await house.work()
    assert (await house.batches.get(WHO, begun["id"]))["status"] == "failed"


async def test_cancelled_midway_what_was_done_is_kept() -> None:
    house = House()
    begun = await house.begin("one", "two", "three")

    async def cancel() -> None:
        await house.batches.cancel(WHO, begun["id"])

    house.before = cancel
    await house.work()
    batch = await house.batches.get(WHO, begun["id"])
    assert house.asked == ["one"]
    assert (batch["status"], batch["cancelling_at"] is not None) == ("cancelled", True)
    assert len(await house.written(batch["output_file_id"])) == 1
    bad = await house.written(batch["error_file_id"])
    assert {row["error"]["code"] for row in bad} == {"batch_cancelled"}
    with pytest.raises(Malformed):
        await house.batches.cancel(WHO, begun["id"])


async def test_out_of_time_the_rest_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(batches.WINDOWS, "24h", timedelta(seconds=-1))
    house = House()
    begun = await house.begin("one")
    await house.work()
    batch = await house.batches.get(WHO, begun["id"])
    assert (batch["status"], house.asked) == ("expired", [])
    [row] = await house.written(batch["error_file_id"])
    assert row["error"]["code"] == "batch_expired"


async def test_what_a_dead_worker_had_begun_is_not_run_again() -> None:
    house = House()
    begun = await house.begin("one", "two", "three")

    def die() -> None:
        if house.asked[-1] == "two":
            raise Killed

    house.before = die
    with pytest.raises(BaseExceptionGroup):
        await house.work()
    assert not await house.work()  # its claim has not lapsed
    house.before = lambda: None
    house.shelf._claims.clear()
    await house.work()
    batch = await house.batches.get(WHO, begun["id"])
    assert house.asked == ["one", "two", "three"]
    assert batch["status"] == "completed"
    [lost] = await house.written(batch["error_file_id"])
    assert (lost["custom_id"], lost["error"]["code"]) == ("id-1", "gateway_restarted")


async def test_a_line_waits_for_its_keys_rate() -> None:
    house = House()
    refusals = [Reply(429, "exc_fast", {"error": {}}, 0.0), Reply(429, "exc_fast", {}, 0.0)]
    run = house.run

    async def limited(endpoint: str, body: bytes, call: Call) -> Reply:
        return refusals.pop() if refusals else await run(endpoint, body, call)

    begun = await house.begin("one")
    await BatchWorker(house.shelf, limited).work()
    batch = await house.batches.get(WHO, begun["id"])
    assert batch["request_counts"] == {"total": 1, "completed": 1, "failed": 0}


async def test_a_database_that_is_away_for_a_moment_ends_no_batch() -> None:
    house = House()
    begun = await house.begin("one", "two")
    end, refusals = house.shelf.end_line, 2

    async def away(*arguments: Any) -> None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise Unavailable(Code.AUDIT_UNAVAILABLE, "away")
        await end(*arguments)

    house.shelf.end_line = away  # type: ignore[method-assign]
    await house.work()
    batch = await house.batches.get(WHO, begun["id"])
    assert batch["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
    assert house.asked == ["one", "two"]


async def test_without_its_claim_a_worker_begins_no_line() -> None:
    house = House()
    await house.begin("one", "two")

    def lose() -> None:
        house.shelf._claims = {id: ("other", until) for id, (_, until) in
                               house.shelf._claims.items()}  # fmt: skip

    house.before = lose
    await house.work()
    assert house.asked == ["one"]


async def test_only_its_app_sees_a_batch() -> None:
    house = House()
    begun = await house.begin("one")
    for call in (house.batches.get, house.batches.cancel):
        with pytest.raises(Denied) as refused:
            await call(OTHER, begun["id"])
        assert refused.value.code is Code.NOT_FOUND
    assert await house.batches.listed(OTHER, None, 10) == []
    assert [each["id"] for each in await house.batches.listed(WHO, None, 10)] == [begun["id"]]


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"endpoint": "/v1/files"}, "endpoint"),
        ({"endpoint": None}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"input_file_id": "file_nobody"}, "input_file_id"),
        ({"input_file_id": 7}, "input_file_id"),
        ({"metadata": "x"}, "metadata"),
    ],
)
async def test_a_wish_that_cannot_be_names_its_field(wish: dict[str, Any], param: str) -> None:
    house = House()
    file = await house.files.upload(WHO, "in.jsonl", "batch", b"{}")
    right = {"endpoint": CHAT, "input_file_id": file["id"], "completion_window": "24h"}
    with pytest.raises(Malformed) as refused:
        await house.batches.create(WHO, right | wish)
    assert refused.value.param == param
    assert not await house.work()


async def test_files_have_a_purpose_a_size_and_an_owner() -> None:
    files = Files(FakeShelf(), 3)
    with pytest.raises(Malformed) as wrong:
        await files.upload(WHO, "a", "assistants", b"x")
    assert wrong.value.param == "purpose"
    with pytest.raises(Malformed) as large:
        await files.upload(WHO, "a", "batch", b"xxxx")
    assert large.value.code is Code.REQUEST_TOO_LARGE
    file = await files.upload(WHO, "a" * 999, "batch", b"xxx")
    assert (file["bytes"], len(file["filename"])) == (3, 256)
    for call in (files.get, files.content, files.delete):
        with pytest.raises(Denied):
            await call(OTHER, file["id"])
    assert await files.content(WHO, file["id"]) == b"xxx"
    assert await files.listed(WHO, None, 10, "batch") == [file]
    assert await files.listed(WHO, None, 10, "other") == []
    assert (await files.delete(WHO, file["id"]))["deleted"]
    with pytest.raises(Denied):
        await files.get(WHO, file["id"])
