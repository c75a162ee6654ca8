"""The same request again: one call of the model, one cost, the same answer, each on record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Event, Events
from gateway.core.errors import Code, Denied, Filtered, Malformed, Unavailable, UpstreamError
from gateway.core.exchange import Call, Exchange, Outcome
from gateway.core.pipeline import pipeline
from gateway.core.principal import Principal
from gateway.core.records import Kind
from gateway.stages.account import KeepAccount
from gateway.stages.idempotency import AnswerRepeats
from tests.exchanges import CHAT, SOMEBODY, chat_request, spoken, whole
from tests.fakes.journal import FakeJournal
from tests.fakes.repeats import FakeRepeats

Upstream = Callable[[Exchange], Awaitable[Events]]


class Desk:
    """Account and idempotency over a model that answers when it is let."""

    def __init__(self) -> None:
        self.journal = FakeJournal()
        self.repeats = FakeRepeats(self.journal)
        self.called = 0
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.began = asyncio.Event()
        self.error: Exception | None = None
        self.answer: list[Event] | None = None
        stages = [KeepAccount(self.journal), AnswerRepeats(self.repeats)]
        self._pipeline = pipeline(stages, self._model)

    async def _model(self, exchange: Exchange) -> Events:
        self.called += 1
        self.began.set()
        number = self.called
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return self._said(exchange, number)

    async def _said(self, exchange: Exchange, number: int) -> Events:
        text = f"answer {number}"
        events = self.answer or (spoken([text, "."]) if exchange.streamed else [whole(text)])
        for event in events:
            exchange.heard.append(event.encode())
            yield event

    async def ask(
        self,
        name: str | None = "n",
        *texts: str,
        who: Principal = SOMEBODY,
        body: bytes | None = None,
        content_type: str = "application/json",
        model: str | None = None,
        forwarded: Mapping[str, str] | None = None,
        **more: Any,
    ) -> tuple[Exchange, list[Event]]:
        """One exchange, to its end."""
        request = chat_request(*texts, **more)
        call = Call("k", idempotency_key=name, content_type=content_type, model=model,
                    forwarded=forwarded or {})  # fmt: skip
        exchange = Exchange(CHAT, _never, call)
        exchange.principal = who
        exchange.received = orjson.dumps(request) if body is None else body
        exchange.request = request
        self.last = exchange
        async with exchange:
            events = [event async for event in await self._pipeline(exchange)]
        return exchange, events

    def outcome(self, exchange: Exchange) -> str:
        endings = [e for e in self.journal.entries(exchange.id) if e.kind is Kind.CLOSED]
        assert len(endings) == 1
        return str(endings[0].facts["outcome"])


async def _never() -> bytes:
    raise AssertionError("the body was read already")


def bytes_of(events: list[Event]) -> list[bytes]:
    return [event.encode() for event in events]


async def test_without_a_key_every_request_is_its_own() -> None:
    desk = Desk()
    await desk.ask(None)
    await desk.ask(None)
    assert desk.called == 2
    assert desk.repeats.held == {}


@pytest.mark.parametrize("stream", [False, True])
async def test_c29_a_repeat_is_answered_from_the_record(stream: bool) -> None:
    desk = Desk()
    first, said = await desk.ask(stream=stream)
    again, repeated = await desk.ask(stream=stream)
    assert desk.called == 1
    assert bytes_of(repeated) == bytes_of(said)
    assert [event.whole for event in repeated] == [event.whole for event in said]
    assert again.headers["x-govgate-cache"] == f"repeat; source={first.id}"
    assert "x-govgate-cache" not in first.headers


@pytest.mark.parametrize("stream", [False, True])
async def test_c29_a_repeat_is_an_exchange_of_its_own_at_no_cost(stream: bool) -> None:
    desk = Desk()
    first, _ = await desk.ask(stream=stream)
    again, _ = await desk.ask(stream=stream)
    assert again.id != first.id
    opened, *_, closed = desk.journal.entries(again.id)
    assert (opened.kind, closed.kind) == (Kind.OPENED, Kind.CLOSED)
    assert closed.facts["outcome"] == Outcome.COMPLETED
    assert closed.facts["cost_micro_usd"] == 0
    assert closed.facts["attempts"] == 0
    assert closed.facts["cache"] == f"repeat; source={first.id}"
    assert await desk.repeats.released(again.id) == await desk.repeats.released(first.id)


async def test_c29_a_repeat_of_a_repeat_is_the_first_again() -> None:
    desk = Desk()
    first, _ = await desk.ask()
    for _ in range(3):
        again, _ = await desk.ask()
        assert again.headers["x-govgate-cache"].endswith(first.id)
    assert desk.called == 1


async def test_c29_while_it_runs_a_repeat_is_told_to_wait() -> None:
    desk = Desk()
    desk.go_on.clear()
    first = asyncio.create_task(desk.ask())
    await desk.began.wait()
    with pytest.raises(Denied) as refused:
        await desk.ask()
    assert refused.value.code is Code.IDEMPOTENCY_KEY_IN_USE
    assert refused.value.retry_after is not None
    assert desk.outcome(desk.last) == "denied"
    desk.go_on.set()
    _, said = await first
    _, repeated = await desk.ask()
    assert desk.called == 1
    assert bytes_of(repeated) == bytes_of(said)


async def test_c29_another_request_under_the_same_key_is_refused() -> None:
    desk = Desk()
    await desk.ask("n", "one")
    for other in (desk.ask("n", "two"), desk.ask("n", "one", stream=True),
                  desk.ask("n", "one", model="elsewhere"),
                  desk.ask("n", "one", forwarded={"anthropic-beta": "a"})):  # fmt: skip
        with pytest.raises(Denied) as refused:
            await other
        assert refused.value.code is Code.IDEMPOTENCY_KEY_REUSED
    assert desk.called == 1


async def test_a_form_may_be_sent_again_with_another_boundary() -> None:
    desk = Desk()
    for boundary in ("aaa", "bbb"):
        await desk.ask(
            body=f"--{boundary}\r\nfile\r\n--{boundary}--".encode(),
            content_type=f'multipart/form-data; boundary="{boundary}"',
        )
    assert desk.called == 1
    with pytest.raises(Denied):
        await desk.ask(
            body=b"--c\r\nother\r\n--c--", content_type="multipart/form-data; boundary=c"
        )


async def test_keys_are_the_callers_own() -> None:
    desk = Desk()
    await desk.ask()
    await desk.ask(who=Principal("acme", "support", "shop-bot", "k2"))
    assert desk.called == 2


@pytest.mark.parametrize(
    "error",
    [
        Denied(Code.CONTENT_FILTER, "no"),
        Filtered(Code.CONTENT_FILTER, "no"),
        UpstreamError(Code.UPSTREAM_ERROR, "no"),
        RuntimeError("no"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_c29_what_did_not_complete_runs_anew(error: Exception) -> None:
    desk = Desk()
    desk.error = error
    with pytest.raises(type(error)):
        await desk.ask()
    desk.error = None
    _, events = await desk.ask()
    assert desk.called == 2
    _, repeated = await desk.ask()
    assert desk.called == 2
    assert bytes_of(repeated) == bytes_of(events)


async def test_c29_what_was_cancelled_runs_anew() -> None:
    desk = Desk()
    desk.go_on.clear()
    first = asyncio.create_task(desk.ask())
    await desk.began.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    desk.go_on.set()
    await desk.ask()
    assert desk.called == 2


async def test_c29_after_a_day_a_key_is_forgotten() -> None:
    desk = Desk()
    await desk.ask("n", "one")
    desk.repeats.now += 24 * 3_600
    await desk.ask("n", "two")
    assert desk.called == 2


async def test_an_exchange_is_on_record_before_it_takes_a_key() -> None:
    """So that a process that dies with a key leaves an exchange that is found to be lost."""
    desk = Desk()
    seen: list[list[Kind]] = []
    claim = desk.repeats.claim

    async def watched(*given: Any) -> bool:
        seen.append(desk.journal.kinds(desk.last.id))
        return await claim(*given)

    desk.repeats.claim = watched  # type: ignore[method-assign]
    await desk.ask()
    assert seen == [[Kind.OPENED]]


async def test_c29_what_was_lost_runs_anew() -> None:
    desk = Desk()
    first, _ = await desk.ask()
    for written in desk.journal.entries(first.id):
        if written.kind is Kind.CLOSED:
            written.facts["outcome"] = "lost"
    again, _ = await desk.ask()
    assert desk.called == 2
    assert desk.repeats.held[SOMEBODY.key_id, "n"].exchange_id == again.id


async def test_an_answer_that_is_gone_is_given_anew() -> None:
    """Erasure destroys the key of the record; the answer is then made again."""
    desk = Desk()
    await desk.ask()

    async def erased(exchange_id: str) -> bytes | None:
        return None

    desk.repeats.released = erased  # type: ignore[method-assign]
    await desk.ask()
    assert desk.called == 2


async def test_speech_is_repeated_as_it_was() -> None:
    desk = Desk()
    desk.answer = [Event({"text": ""}, whole=True, raw=b"\x00\xff\n\x01", media="audio/mpeg")]
    await desk.ask()
    _, repeated = await desk.ask()
    assert [(e.raw, e.media, e.whole) for e in repeated] == [
        (b"\x00\xff\n\x01", "audio/mpeg", True)
    ]
    assert desk.called == 1


async def test_plain_text_is_repeated_as_text() -> None:
    desk = Desk()
    desk.answer = [Event({"text": "é\nü"}, whole=True, media="text/plain; charset=utf-8")]
    await desk.ask()
    _, repeated = await desk.ask()
    assert (repeated[0].data["text"], repeated[0].encode()) == ("é\nü", "é\nü".encode())


async def test_a_whole_answer_may_have_lines() -> None:
    desk = Desk()
    raw = orjson.dumps(whole("x").data, option=orjson.OPT_INDENT_2)
    desk.answer = [Event(orjson.loads(raw), whole=True, raw=raw)]
    await desk.ask()
    _, repeated = await desk.ask()
    assert bytes_of(repeated) == [raw]


async def test_pieces_of_an_answer_that_is_not_streamed_stay_pieces() -> None:
    desk = Desk()
    desk.answer = spoken(["a", "b"])
    await desk.ask()
    _, repeated = await desk.ask()
    assert bytes_of(repeated) == bytes_of(spoken(["a", "b"]))


@pytest.mark.parametrize("name", ["", "x" * 256, "é", "a\tb", "a\x00b"])
async def test_a_key_that_cannot_be_is_refused(name: str) -> None:
    desk = Desk()
    with pytest.raises(Malformed):
        await desk.ask(name)
    assert desk.called == 0
    assert desk.outcome(desk.last) == "denied"


async def test_when_keys_cannot_be_looked_up_nothing_runs() -> None:
    desk = Desk()
    desk.repeats.failing = Unavailable(Code.AUDIT_UNAVAILABLE, "x")
    with pytest.raises(Unavailable):
        await desk.ask()
    assert desk.called == 0


@given(
    crowd=st.integers(2, 8),
    turns=st.lists(st.integers(0, 3), max_size=8),
    fails=st.booleans(),
    stream=st.booleans(),
)
async def test_c29_of_a_crowd_one_reaches_the_model(
    crowd: int, turns: list[int], fails: bool, stream: bool
) -> None:
    """However they overlap: one call at a time, and once one completes no further call."""
    desk = Desk()
    desk.go_on.clear()
    if fails:
        desk.error = UpstreamError(Code.UPSTREAM_ERROR, "no")

    async def late(number: int) -> list[bytes] | Code:
        for _ in range(turns[number] if number < len(turns) else 0):
            await asyncio.sleep(0)
        try:
            return bytes_of((await desk.ask(stream=stream))[1])
        except (Denied, UpstreamError) as error:
            return error.code

    asked = [asyncio.create_task(late(number)) for number in range(crowd)]
    for _ in range(40):
        await asyncio.sleep(0)
    assert desk.called == 1
    desk.go_on.set()
    told = await asyncio.gather(*asked)
    if fails:
        assert set(told) <= {Code.UPSTREAM_ERROR, Code.IDEMPOTENCY_KEY_IN_USE}  # type: ignore[arg-type]
        return
    answers = [each for each in told if isinstance(each, list)]
    assert desk.called == 1
    assert answers
    assert all(each == answers[0] for each in answers)
    assert {each for each in told if isinstance(each, str)} <= {Code.IDEMPOTENCY_KEY_IN_USE}
