"""Duties are done in our order, all or none; answers pass them the other way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from gateway.core.answer import Event, Events, Lane, MakeRewriter
from gateway.core.errors import Code, Denied, Filtered, Unavailable
from gateway.core.exchange import Exchange
from gateway.core.policy import Verdict
from gateway.stages.discharge import Discharge, Discharger
from tests.exchanges import CHAT, allowing, answering, chat_request, decided, heard, spoken


class Appends:
    """A rewriter that adds a mark to what it is shown; or stops at a word."""

    def __init__(self, mark: str, stop: str | None = None) -> None:
        self._mark, self._stop = mark, stop

    async def feed(self, text: str) -> str:
        if self._stop is not None and self._stop in text:
            raise Filtered(Code.CONTENT_FILTER, "x")
        return text + self._mark if text else ""

    async def finish(self) -> str:
        if self._stop == "":
            raise Filtered(Code.CONTENT_FILTER, "x")
        return ""


def noting(done: list[str], name: str, stop: str | None = None) -> Discharger:
    """A duty that notes itself and its parameter, and marks the answer with its name."""

    async def discharge(exchange: Exchange, params: Mapping[str, Any]) -> MakeRewriter | None:
        if "bad" in params:
            raise msgspec.ValidationError("bad params")
        done.append(f"{name}{params.get('n', '')}")
        return (lambda lane: Appends(name, stop)) if name.isupper() else None

    return discharge


class Upstream:
    def __init__(self, events: list[Event]) -> None:
        self.calls = 0
        self._answer = answering(events)

    async def __call__(self, exchange: Exchange) -> Events:
        self.calls += 1
        return await self._answer(exchange)


async def discharged(verdict: Verdict, done: list[str], upstream: Upstream, stop: str | None = None
                     ) -> str:  # fmt: skip
    names = ("A", "b", "C")
    stage = Discharge({name: noting(done, name, stop if name == "C" else None) for name in names})
    events = await stage(decided(chat_request(), verdict), upstream)
    body = CHAT.fold(await heard(events))
    text: str = body["choices"][0]["message"]["content"]
    return text


async def test_our_order_holds_whatever_the_policy_names_first() -> None:
    done: list[str] = []
    upstream = Upstream(spoken(["x"]))
    text = await discharged(allowing(("C", {}), ("b", {}), ("A", {})), done, upstream)
    assert done == ["A", "b", "C"]
    assert text == "xCA"  # what acted on the request first acts on the answer last
    assert upstream.calls == 1


async def test_one_duty_may_be_due_twice() -> None:
    done: list[str] = []
    upstream = Upstream(spoken(["x"]))
    assert await discharged(allowing(("C", {"n": 1}), ("C", {"n": 2})), done, upstream) == "xCC"
    assert done == ["C1", "C2"]


async def test_without_a_duty_events_pass_untouched() -> None:
    event = Event({"id": "c", "choices": []}, raw=b'{ "id" : "c" , "choices" : [] }')
    upstream = answering([event])
    stage = Discharge({"b": noting([], "b")})
    for verdict in (allowing(), allowing(("b", {}))):
        [said] = await heard(await stage(decided(chat_request(), verdict), upstream))
        assert said.encode() == event.encode()


async def test_each_lane_has_rewriters_of_its_own() -> None:
    lanes: list[Lane] = []

    async def duty(exchange: Exchange, params: Mapping[str, Any]) -> MakeRewriter:
        def make(lane: Lane) -> Appends:
            lanes.append(lane)
            return Appends("")

        return make

    events = [*spoken(["x"], index=0), *spoken(["y"], index=1)]
    stage = Discharge({"duty": duty})
    await heard(await stage(decided(chat_request(), allowing(("duty", {}))), answering(events)))
    assert lanes == [Lane(0, "content"), Lane(1, "content")]


async def test_an_unknown_duty_refuses_before_any_is_done() -> None:
    done: list[str] = []
    upstream = Upstream(spoken(["x"]))
    with pytest.raises(Unavailable) as refused:
        await discharged(allowing(("A", {}), ("unheard-of", {}), ("b", {})), done, upstream)
    assert refused.value.code is Code.POLICY_ERROR
    assert "unheard-of" in refused.value.message
    assert (done, upstream.calls) == ([], 0)


async def test_a_duty_of_another_shape_refuses_the_exchange() -> None:
    done: list[str] = []
    upstream = Upstream(spoken(["x"]))
    with pytest.raises(Unavailable) as refused:
        await discharged(allowing(("A", {}), ("b", {"bad": 1})), done, upstream)
    assert refused.value.code is Code.POLICY_ERROR
    assert "'b'" in refused.value.message
    assert upstream.calls == 0


async def test_a_duty_may_refuse_in_its_own_words() -> None:
    async def refusing(exchange: Exchange, params: Mapping[str, Any]) -> None:
        raise Denied(Code.INVALID_REQUEST, "not this tool")

    upstream = Upstream([])
    verdict = allowing(("b", {}))
    with pytest.raises(Denied, match="not this tool") as refused:
        await Discharge({"b": refusing})(decided(chat_request(), verdict), upstream)
    assert refused.value.rules == tuple(verdict.obligations[0].rule.split(","))
    assert upstream.calls == 0


@pytest.mark.parametrize("stop", ["x", ""], ids=["while it is said", "at the end"])
async def test_a_stopped_answer_names_the_rules_that_asked_for_it(stop: str) -> None:
    verdict = Verdict.parse(
        {
            "effect": "allow",
            "reasons": [],
            "obligations": [{"id": "A", "params": {}, "rule": "mask.all"},
                            {"id": "C", "params": {}, "rule": "phrases.one,phrases.two"}],
            "observed": [],
            "overridden": [],
        }
    )  # fmt: skip
    with pytest.raises(Filtered) as broken:
        await discharged(verdict, [], Upstream(spoken(["x"])), stop)
    assert broken.value.rules == ("phrases.one", "phrases.two")
