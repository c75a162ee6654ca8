"""What is stopped is refused before anything answers, and broken off while it does."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.core.answer import Event, Events
from gateway.core.errors import Code, Denied, Filtered, GatewayError, Unavailable
from gateway.core.exchange import Exchange, Judgement
from gateway.core.policies import Stop, Stopped
from gateway.core.policy import Effect
from gateway.core.ports import Choice, Group, Model
from gateway.core.stopping import Stops
from gateway.stages.halt import HaltCalls, HaltTargets
from tests.exchanges import (
    SOMEBODY,
    answering,
    called,
    chat_request,
    decided,
    exchange_of,
    heard,
    spoken,
    whole,
)
from tests.unit.core.test_stopping import stop

SEND = {"type": "function", "function": {"name": "send"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "t1", "type": "function", "function": {"name": "send", "arguments": "{}"}}]}  # fmt: skip


class Standing:
    """What stands, for a test to change."""

    def __init__(self, *stops: Stop) -> None:
        self.stops = Stops(stops)
        self.why: GatewayError | None = None

    def stale(self, exchange: Exchange) -> GatewayError | None:
        return self.why


def inspected(request: Mapping[str, Any]) -> Exchange:
    exchange = exchange_of(request)
    exchange.request = copy.deepcopy(dict(request))
    exchange.principal = SOMEBODY
    return exchange


async def passed(
    standing: Standing, exchange: Exchange, events: Sequence[Event] = ()
) -> list[Event]:
    """What comes through the outer stage."""
    stage = HaltCalls(standing, "sha256:1")
    return await heard(await stage(exchange, answering(events or [whole("hi")])))


@pytest.mark.parametrize(
    "one",
    [
        stop(Stopped.EVERYTHING, "*"),
        stop(Stopped.APP, "shop-*"),
        stop(Stopped.KEY, "k1"),
        stop(Stopped.MODEL, "m"),
        stop(Stopped.TOOL, "send"),
        stop(Stopped.TOOL, "SE*"),
    ],
    ids=lambda one: f"{one.what}-{one.name}",
)
async def test_what_is_stopped_is_refused_and_the_stop_is_on_record(one: Stop) -> None:
    exchange = inspected(chat_request(tools=[SEND]))
    with pytest.raises(Denied) as refused:
        await passed(Standing(one), exchange)
    assert refused.value.code is Code.STOPPED
    assert refused.value.rules == ("stop:stp_1",)
    assert "stp_1" in refused.value.message
    assert "operator" in refused.value.message
    assert exchange.stopped_by == "stop:stp_1"
    assert exchange.decision.effect is Effect.DENY
    assert exchange.decision.revision == "sha256:1"
    assert [reason.rule for reason in exchange.decision.verdict.reasons] == ["stop:stp_1"]


@pytest.mark.parametrize(
    "one",
    [stop(Stopped.APP, "other"), stop(Stopped.MODEL, "x"), stop(Stopped.TOOL, "pay")],
    ids=lambda one: str(one.what),
)
async def test_what_another_stop_names_passes(one: Stop) -> None:
    exchange = inspected(chat_request(tools=[SEND]))
    events = await passed(Standing(one), exchange)
    assert len(events) == 1
    assert exchange.stopped_by is None
    assert not exchange.knows("decision")


async def test_a_request_that_answers_a_stopped_tool_is_refused() -> None:
    request = chat_request("send it")
    request["messages"] += [CALLED, {"role": "tool", "tool_call_id": "t1", "content": "done"}]
    with pytest.raises(Denied):
        await passed(Standing(stop(Stopped.TOOL, "send")), inspected(request))


async def test_what_is_not_known_any_more_refuses() -> None:
    standing = Standing()
    standing.why = Unavailable(Code.POLICY_UNAVAILABLE, "unknown")
    with pytest.raises(Unavailable):
        await passed(standing, inspected(chat_request()))


def going(request: Mapping[str, Any]) -> Exchange:
    """An exchange that may go out."""
    exchange = decided(request)

    async def judge(target: Model) -> Judgement:
        return Judgement(exchange.decision)

    exchange.judge = judge
    return exchange


async def broken_off(
    standing: Standing, exchange: Exchange, events: Sequence[Event], meanwhile: Stop | None = None
) -> tuple[list[Event], Filtered]:
    """What is released before the answer is broken off; `meanwhile` is placed after the first."""
    stage = (HaltTargets if exchange.knows("model") else HaltCalls)(standing, "sha256:1")
    seen: list[Event] = []

    async def hear() -> None:
        async for event in await stage(exchange, answering(events)):
            seen.append(event)
            if meanwhile is not None:
                standing.stops = Stops([meanwhile])

    with pytest.raises(Filtered) as broken:
        await hear()
    return seen, broken.value


@pytest.mark.parametrize(
    "one",
    [
        stop(Stopped.EVERYTHING, "*"),
        stop(Stopped.APP, "shop-bot"),
        stop(Stopped.KEY, "k1"),
        stop(Stopped.MODEL, "m"),
        stop(Stopped.MODEL, "fake/m"),
    ],
    ids=lambda one: f"{one.what}-{one.name}",
)
async def test_a_running_answer_is_broken_off_at_its_next_event(one: Stop) -> None:
    exchange = going(chat_request(stream=True))
    seen, broken = await broken_off(Standing(), exchange, spoken(["a", "b", "c"]), one)
    assert len(seen) == 1
    assert (broken.code, broken.rules) == (Code.STOPPED, ("stop:stp_1",))
    assert exchange.stopped_by == "stop:stp_1"


async def test_a_whole_answer_is_not_released_once_its_model_is_stopped() -> None:
    standing = Standing()

    async def upstream(exchange: Exchange) -> Events:
        standing.stops = Stops([stop(Stopped.MODEL, "m")])
        return await answering([whole("hi")])(exchange)

    events = await HaltTargets(standing, "sha256:1")(going(chat_request()), upstream)
    with pytest.raises(Filtered):
        await heard(events)


async def test_a_call_of_a_stopped_tool_is_not_released() -> None:
    standing = Standing(stop(Stopped.TOOL, "send"))
    exchange = going(chat_request(stream=True))
    seen, _ = await broken_off(standing, exchange, called(['{"to"', ': "ann"}']))
    assert seen == []


async def test_nor_one_whose_name_comes_in_pieces() -> None:
    def piece(name: str) -> Event:
        call = {"index": 0, "function": {"name": name, "arguments": ""}}
        return Event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})

    standing = Standing(stop(Stopped.TOOL, "send"))
    exchange = going(chat_request(stream=True))
    seen, _ = await broken_off(standing, exchange, [piece("se"), piece("nd"), piece("")])
    assert len(seen) == 1


async def test_nor_one_in_a_whole_answer() -> None:
    standing = Standing(stop(Stopped.TOOL, "send"))
    answer = whole(None, tool_calls=CALLED["tool_calls"])
    seen, _ = await broken_off(standing, going(chat_request()), [answer])
    assert seen == []


async def test_nor_one_in_an_answer_that_is_repeated_from_the_record() -> None:
    exchange = inspected(chat_request(stream=True))
    seen, _ = await broken_off(Standing(stop(Stopped.TOOL, "send")), exchange, called(["{}"]))
    assert seen == []


async def test_other_calls_are_released_as_they_came() -> None:
    events = called(['{"to"', ': "ann"}'])
    exchange = going(chat_request(stream=True))
    stage = HaltTargets(Standing(stop(Stopped.TOOL, "pay")), "sha256:1")
    seen = await heard(await stage(exchange, answering(events)))
    assert [event.data for event in seen] == [event.data for event in events]


# The targets of a model

FIRST, SECOND = Model("m", "azure", "gpt-4o"), Model("m", "local", "llama")
GROUP = Model("m", "azure", "gpt-4o", group=Group((Choice(FIRST), Choice(SECOND))))


def routed() -> Exchange:
    """An exchange whose targets are known, and both allowed."""
    exchange = going(chat_request())
    exchange.targets = [FIRST, SECOND]
    exchange.turn_to(FIRST)
    return exchange


async def test_a_stopped_target_is_passed_over() -> None:
    exchange = routed()
    stage = HaltTargets(Standing(stop(Stopped.MODEL, "azure/*")), "sha256:1")
    await stage(exchange, answering([whole("hi")]))
    assert exchange.targets == [SECOND]
    assert exchange.model == SECOND


@pytest.mark.parametrize("name", ["m", "*"])
async def test_where_no_target_is_left_it_is_refused(name: str) -> None:
    exchange = routed()
    stage = HaltTargets(Standing(stop(Stopped.MODEL, name)), "sha256:1")
    with pytest.raises(Denied) as refused:
        await stage(exchange, answering([whole("hi")]))
    assert refused.value.code is Code.STOPPED


async def test_a_target_that_is_stopped_between_two_attempts_is_not_asked() -> None:
    exchange, standing = routed(), Standing()
    await HaltTargets(standing, "sha256:1")(exchange, answering([whole("hi")]))
    assert (await exchange.judge(SECOND)).refusal is None
    standing.stops = Stops([stop(Stopped.MODEL, "LLAMA")])
    judged = await exchange.judge(SECOND)
    assert isinstance(judged.refusal, Denied)
    assert judged.refusal.code is Code.STOPPED
    assert (await exchange.judge(FIRST)).refusal is None


async def test_the_stop_of_the_last_target_is_on_record_as_the_reason() -> None:
    exchange = routed()

    async def last(exchange: Exchange) -> Events:
        raise Denied(Code.STOPPED, "x", rules=["stop:stp_9"])

    with pytest.raises(Denied):
        await HaltCalls(Standing(), "sha256:1")(exchange, last)
    assert exchange.stopped_by == "stop:stp_9"
