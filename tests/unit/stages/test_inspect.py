"""Every text of a request is shown to every inspector; one that fails is on record."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.core.exchange import Exchange
from gateway.core.findings import Finding
from gateway.core.passages import Passage
from gateway.core.values import Value
from gateway.stages.inspect import Inspect
from tests.exchanges import CHAT, answering, chat_request, exchange_of, heard, whole
from tests.fakes.inspector import FakeInspector


async def inspected(request: dict[str, Any], *inspectors: FakeInspector) -> Exchange:
    exchange = exchange_of(request)
    exchange.request = request
    events = await Inspect(inspectors)(exchange, answering([whole("hi")]))
    assert len(await heard(events)) == 1
    return exchange


async def test_every_text_is_shown_once_with_its_place_and_role() -> None:
    request = chat_request("hello", "", stop="end")
    request["messages"].insert(0, {"role": "system", "content": "be kind"})
    inspector = FakeInspector({})
    exchange = await inspected(request, inspector)
    seen = [(passage.text, passage.where, passage.role) for passage in inspector.seen]
    assert seen[:2] == [
        ("be kind", "/messages/0/content", "system"),
        ("hello", "/messages/1/content", "user"),
    ]
    slots = CHAT.slots(request)
    assert seen == [(slot.text, slot.where, slot.role) for slot in slots if slot.text]
    assert [slot.where for slot in exchange.slots] == [slot.where for slot in slots]
    assert "end" in [text for text, _, _ in seen]


async def test_what_they_find_is_added_up_in_order() -> None:
    first = FakeInspector({"hello": "GREETING"}, kind="phrase")
    second = FakeInspector({"ell": "MEASURE"}, kind="pii")
    exchange = await inspected(chat_request("hello"), first, second)
    assert [(f.kind, f.label, f.start, f.end) for f in exchange.findings] == [
        ("phrase", "GREETING", 0, 5), ("pii", "MEASURE", 1, 4),
    ]  # fmt: skip
    assert exchange.unavailable == []
    assert "inspect" in exchange.timings


async def test_parts_that_cannot_be_read_are_findings() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    request = chat_request()
    request["messages"][0]["content"] = [{"type": "text", "text": "look"}, image]
    exchange = await inspected(request)
    assert [(f.kind, f.label, f.where) for f in exchange.findings] == [
        ("opaque", "image", "/messages/0/content/1")
    ]


async def test_one_that_fails_is_noted_and_the_others_are_asked() -> None:
    broken, works = FakeInspector({}, name="broken"), FakeInspector({"hello": "GREETING"})
    broken.failing = RuntimeError("x")
    exchange = await inspected(chat_request("hello"), broken, works)
    assert exchange.unavailable == ["broken"]
    assert [finding.label for finding in exchange.findings] == ["GREETING"]


async def test_personal_values_are_what_the_record_is_cut_by() -> None:
    first = FakeInspector({"hello": "GREETING"}, kind="phrase")
    second = FakeInspector({"hello": "PERSON", "you": "PERSON"}, kind="pii")
    exchange = await inspected(chat_request("hello you, hello"), first, second)
    assert list(exchange.values) == [Value("PERSON", "hello"), Value("PERSON", "you")]


async def test_who_hangs_up_meanwhile_leaves_nothing_that_was_not_looked_at() -> None:
    """Twice: the first time in the midst of an inspector, then while that is made up for."""
    gate, slow = asyncio.Event(), FakeInspector({"hello": "PERSON"}, kind="pii")
    last = FakeInspector({"you": "PERSON"}, kind="pii")
    plain, calls = slow.inspect, []

    async def inspect(passages: Sequence[Passage]) -> Sequence[Finding]:
        calls.append(len(passages))
        await gate.wait()
        return await plain(passages)

    slow.inspect = inspect  # type: ignore[method-assign]
    exchange = exchange_of(chat_request("hello you"))
    exchange.request = chat_request("hello you")
    asking = asyncio.create_task(Inspect([slow, last])(exchange, answering([])))
    while len(calls) < 2:
        await asyncio.sleep(0)
        asking.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert [value.text for value in exchange.values] == ["hello", "you"]
