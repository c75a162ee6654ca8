"""The web edge of one exchange: events become bytes, refusals become statuses, in one place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from gateway.core.answer import Event, Events
from gateway.core.errors import Code, Denied, Filtered, GatewayError, Unavailable, UpstreamError
from gateway.core.exchange import Exchange, Outcome
from gateway.core.policy import Decision
from gateway.server.data_plane import DataPlane
from tests.exchanges import CHAT, allowing, chat_request, spoken
from tests.exchanges import whole as whole_of
from tests.unit.server.wire import Wire

DONE = b"data: [DONE]\n\n"


class Answers:
    """A pipeline that reads the request, says `events`, and may break before or after them."""

    def __init__(
        self,
        events: Sequence[Event] = (),
        *,
        refuses: BaseException | None = None,
        breaks: BaseException | None = None,
        waits: asyncio.Event | None = None,
    ) -> None:
        self.exchange: Exchange | None = None
        self._events, self._refuses, self._breaks, self._waits = events, refuses, breaks, waits

    async def __call__(self, exchange: Exchange) -> Events:
        self.exchange = exchange
        exchange.received = await exchange.read()
        exchange.request = orjson.loads(exchange.received)
        exchange.known["account"] = "opened"
        exchange.headers["x-govgate-cache"] = "off"
        if self._refuses is not None:
            exchange.decision = Decision("dec_1", "sha256:1", allowing(effect="deny"))
            raise self._refuses
        return self._said()

    async def _said(self) -> Events:
        for event in self._events:
            yield event
        if self._waits is not None:
            await self._waits.wait()
        if self._breaks is not None:
            raise self._breaks


def asking(**request: Any) -> Wire:
    return Wire(body=orjson.dumps(chat_request(**request)))


async def serve(wire: Wire, answers: Answers, limit: int = 10_000) -> None:
    plane = DataPlane(answers, body_limit=limit)
    await plane(CHAT, wire.scope, wire.receive, wire.send)


class TestUnary:
    async def test_a_whole_answer_leaves_byte_for_byte(self) -> None:
        raw = b'{ "id" : "c",  "choices": [] }'
        event = Event(orjson.loads(raw), whole=True, raw=raw)
        wire, answers = asking(), Answers([event])
        await serve(wire, answers)
        assert (wire.status, wire.body, wire.over) == (200, raw, True)
        assert wire.headers["content-type"] == "application/json"
        assert wire.headers["content-length"] == str(len(raw))
        assert answers.exchange is not None
        assert wire.headers["x-request-id"] == wire.headers["request-id"] == answers.exchange.id
        assert wire.headers["x-govgate-cache"] == "off"
        assert answers.exchange.outcome is Outcome.COMPLETED

    async def test_pieces_are_folded_for_who_asked_for_no_stream(self) -> None:
        wire = asking()
        await serve(wire, Answers(spoken(["hel", "lo"])))
        assert wire.json["choices"][0]["message"]["content"] == "hello"
        assert wire.json["object"] == "chat.completion"

    async def test_the_time_each_part_took_is_told(self) -> None:
        wire = asking()
        answers = Answers([whole_of("x")])

        async def timed(exchange: Exchange) -> Events:
            exchange.timings["policy"] = 1_234_567
            return await answers(exchange)

        await DataPlane(timed, body_limit=999)(CHAT, wire.scope, wire.receive, wire.send)
        assert wire.headers["server-timing"] == "policy;dur=1.235"

    @pytest.mark.parametrize("breaks", [False, True], ids=["before", "during the answer"])
    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [
            (Denied(Code.CONTENT_FILTER, "no", rules=["r"]), 400, "content_filter"),
            (Filtered(Code.CONTENT_FILTER, "no"), 400, "content_filter"),
            (Unavailable(Code.POLICY_UNAVAILABLE, "no"), 503, "policy_unavailable"),
            (UpstreamError(Code.UPSTREAM_ERROR, "no", status=429), 429, "upstream_error"),
        ],
    )
    async def test_no_is_a_status_and_an_error_in_the_callers_dialect(
        self, error: GatewayError, status: int, code: str, breaks: bool
    ) -> None:
        wire = asking()
        answers = Answers([whole_of("x")], breaks=error) if breaks else Answers(refuses=error)
        await serve(wire, answers)
        assert wire.status == status
        assert wire.json["error"]["code"] == code
        assert wire.json["error"]["message"] == "no"
        assert wire.headers["content-length"] == str(len(wire.body))
        assert wire.over

    async def test_a_refusal_names_its_decision(self) -> None:
        wire = asking()
        answers = Answers(refuses=Denied(Code.CONTENT_FILTER, "no", rules=["r"]))
        await serve(wire, answers)
        assert answers.exchange is not None
        assert wire.json["error"]["governance"] == {
            "decision_id": "dec_1", "exchange_id": answers.exchange.id, "action": "deny",
            "rules": ["r"], "stage": "request",
        }  # fmt: skip

    async def test_a_fault_of_ours_tells_nobody_what_was_said(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        wire = asking()
        with caplog.at_level(logging.ERROR, logger="govgate.server"):
            await serve(wire, Answers(refuses=RuntimeError("canary")))
        assert (wire.status, wire.json["error"]["code"]) == (500, "internal_error")
        assert wire.headers["x-should-retry"] == "false"
        assert b"canary" not in wire.body
        assert "RuntimeError" in caplog.text
        assert "canary" not in caplog.text


class TestStream:
    async def test_events_are_framed_and_ended(self) -> None:
        wire = asking(stream=True)
        said = spoken(["hel", "lo"])
        await serve(wire, Answers(said))
        assert wire.status == 200
        assert wire.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert "content-length" not in wire.headers
        assert wire.body == b"".join(b"data: %b\n\n" % event.encode() for event in said) + DONE
        assert wire.over

    async def test_no_before_the_first_event_is_a_status(self) -> None:
        wire = asking(stream=True)
        await serve(wire, Answers([], breaks=Filtered(Code.CONTENT_FILTER, "no")))
        assert (wire.status, wire.headers["content-type"]) == (400, "application/json")

    @pytest.mark.parametrize(
        ("error", "code", "ended"),
        [
            (Filtered(Code.CONTENT_FILTER, "no"), "content_filter", True),
            (UpstreamError(Code.UPSTREAM_ERROR, "no"), "upstream_error", False),
            (Unavailable(Code.AUDIT_UNAVAILABLE, "no"), "audit_unavailable", False),
            (RuntimeError("canary"), "internal_error", False),
        ],
        ids=lambda value: type(value).__name__,
    )
    async def test_no_after_it_stands_in_the_stream(
        self, error: Exception, code: str, ended: bool
    ) -> None:
        """Only an answer that the gateway itself ended has an end; a torn one has none."""
        wire = asking(stream=True)
        [first, *_] = spoken(["x"])
        await serve(wire, Answers([first], breaks=error))
        assert wire.status == 200
        frames = wire.body.split(b"\n\n")
        assert frames[0] == b"data: " + first.encode()
        assert orjson.loads(frames[1].removeprefix(b"data: "))["error"]["code"] == code
        assert wire.body.endswith(DONE) is ended
        assert wire.over
        assert b"canary" not in wire.body

    async def test_an_answer_of_nothing_is_an_empty_stream(self) -> None:
        wire = asking(stream=True)
        await serve(wire, Answers([]))
        assert (wire.status, wire.body) == (200, DONE)


class TestHangingUp:
    @pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
    async def test_the_work_is_cancelled_and_still_ends(self, stream: bool) -> None:
        wire = asking(stream=stream)
        answers = Answers(spoken(["x"])[:1], waits=asyncio.Event())
        ended: list[Outcome | None] = []

        async def pipeline(exchange: Exchange) -> Events:
            async def note() -> None:
                ended.append(exchange.outcome)

            exchange.defer(note)
            return await answers(exchange)

        plane = DataPlane(pipeline, body_limit=999)
        task = asyncio.create_task(plane(CHAT, wire.scope, wire.receive, wire.send))
        if stream:
            await wire.news.wait()
        else:
            await asyncio.sleep(0)
        before = len(wire.out)
        wire.gone.set()
        await task  # no error: the server has nothing to report
        assert ended == [Outcome.CANCELLED]
        assert len(wire.out) == before

    async def test_a_caller_who_leaves_before_the_body_is_complete_was_never_there(self) -> None:
        wire = Wire()
        wire._coming.clear()
        wire.gone.set()
        answers = Answers([whole_of("x")])
        await serve(wire, answers)
        assert wire.out == []

    async def test_one_who_leaves_after_the_end_changes_nothing(self) -> None:
        wire, answers = asking(), Answers([whole_of("x")])
        await serve(wire, answers)
        wire.gone.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert answers.exchange is not None
        assert answers.exchange.outcome is Outcome.COMPLETED

    async def test_the_server_may_cancel_and_is_told(self) -> None:
        wire = asking(stream=True)
        answers = Answers(spoken(["x"])[:1], waits=asyncio.Event())
        task = asyncio.create_task(serve(wire, answers))
        await wire.news.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class TestWhatComesIn:
    async def test_c13_options_are_told_without_a_key(self) -> None:
        wire = Wire(method="OPTIONS")
        await serve(wire, answers := Answers())
        assert (wire.status, wire.headers["allow"], wire.body) == (204, "POST, OPTIONS", b"")
        assert wire.headers["x-request-id"] == wire.headers["request-id"]
        assert answers.exchange is None

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    async def test_another_method_is_refused_in_the_dialect(self, method: str) -> None:
        wire = Wire(method=method)
        answers = Answers()
        await serve(wire, answers)
        assert (wire.status, wire.headers["allow"]) == (405, "POST")
        assert wire.json["error"]["code"] == "method_not_allowed"
        assert answers.exchange is None

    @pytest.mark.parametrize("fault", [Denied(Code.INVALID_API_KEY, "no"), RuntimeError("canary")])
    async def test_what_has_no_record_is_no_exchange_to_ask_for(
        self, fault: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def stranger(exchange: Exchange) -> Events:
            raise fault

        wire = asking()
        await DataPlane(stranger, body_limit=9)(CHAT, wire.scope, wire.receive, wire.send)
        told = wire.headers["x-request-id"]
        assert told == wire.headers["request-id"]
        assert told.startswith("req_")
        assert (told in caplog.text) is isinstance(fault, RuntimeError)

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_nor_is_what_cannot_be_read(self, method: str) -> None:
        wire = Wire(method=method, headers={"content-type": "text/plain"})
        await serve(wire, Answers())
        assert wire.status in (405, 415)
        assert wire.headers["x-request-id"].startswith("req_")

    async def test_a_body_too_large_is_refused(self) -> None:
        wire = asking()
        await serve(wire, Answers([whole_of("x")]), limit=10)
        assert (wire.status, wire.json["error"]["code"]) == (413, "request_too_large")

    async def test_governance_reads_its_own_headers_and_no_others(self) -> None:
        headers = {"authorization": "Bearer k", "x-govgate-user": "ü", "traceparent": "00-1",
                   "x-client-request-id": "c1", "cookie": "secret", "x-other": "y"}  # fmt: skip
        wire = Wire(headers=headers, body=orjson.dumps(chat_request()))
        answers = Answers([whole_of("x")])
        await serve(wire, answers)
        assert answers.exchange is not None
        assert answers.exchange.call.credential == "k"
        assert answers.exchange.call.attributes == {
            "x-govgate-user": "ü", "traceparent": "00-1", "x-client-request-id": "c1",
        }  # fmt: skip


async def test_answers_are_read_only_as_fast_as_they_are_sent() -> None:
    """Nothing is asked of the answer while the caller has not taken what was said."""
    taken = 0

    async def pipeline(exchange: Exchange) -> Events:
        exchange.request = chat_request(stream=True)
        return said()

    async def said() -> Events:
        nonlocal taken
        for event in spoken(["a", "b", "c"]):
            taken += 1
            yield event

    slow, wire = asyncio.Event(), asking(stream=True)

    async def send(message: Any) -> None:
        await slow.wait()

    task = asyncio.create_task(
        DataPlane(pipeline, body_limit=9)(CHAT, wire.scope, wire.receive, send)
    )
    for _ in range(20):
        await asyncio.sleep(0)
    assert taken == 1
    slow.set()
    await task
    assert taken == len(spoken(["a", "b", "c"]))
