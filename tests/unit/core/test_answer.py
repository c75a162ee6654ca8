"""Events, and the one seam between them and text: each lane has a rewriter of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from gateway.core.answer import Chain, Event, Events, Lane, per_lane
from gateway.core.errors import Code, Filtered
from tests.exchanges import CHAT, answering, called, chat_request, chunk, exchange_of, heard, spoken
from tests.exchanges import whole as whole_of


class Holds:
    """Holds back the last `most` characters, in capitals; stops at a `!`."""

    def __init__(self, most: int = 2) -> None:
        self._most, self._held = most, ""

    async def feed(self, text: str) -> str:
        text = self._held + text
        if "!" in text:
            raise Filtered(Code.CONTENT_FILTER, "x", shown=text.partition("!")[0].upper())
        cut = max(0, len(text) - self._most)
        self._held = text[cut:]
        return text[:cut].upper()

    async def finish(self) -> str:
        held, self._held = self._held, ""
        if "?" in held:
            raise Filtered(Code.CONTENT_FILTER, "x", shown=held.partition("?")[0].upper())
        return held.upper()


class Says:
    """Lets everything through between two words."""

    def __init__(self, first: str, last: str) -> None:
        self._first, self._last = first, last

    async def feed(self, text: str) -> str:
        first, self._first = self._first, ""
        return first + text

    async def finish(self) -> str:
        return self._last


async def rewritten(events: Sequence[Event], most: int = 2) -> list[Event]:
    said = await answering(events)(exchange_of(chat_request()))
    return await heard(per_lane(lambda lane: Holds(most), CHAT)(said))


async def into(received: list[Event], events: Events) -> None:
    async for event in events:
        received.append(event)


def texts(events: Sequence[Event]) -> list[str]:
    return [run.text for event in events for run in CHAT.runs(event)]


def test_an_event_leaves_as_it_came_until_it_is_edited() -> None:
    raw = b'{ "a" : 1.00 }'
    event = Event(json.loads(raw), raw=raw)
    assert event.encode() is raw
    event.data["a"] = 2
    assert event.encode() is raw
    event.edited()
    assert event.encode() == b'{"a":2}'


async def test_what_is_held_back_comes_before_the_ending() -> None:
    events = await rewritten(spoken(["hel", "lo"]))
    assert "".join(texts(events)) == "HELLO"
    ends = [bool(CHAT.ended(event)) for event in events]
    assert ends == [*[False] * (len(ends) - 1), True]


async def test_a_whole_answer_is_rewritten_in_place() -> None:
    [event] = await rewritten([whole_of("hello")])
    assert event.whole
    assert texts([event]) == ["HELLO"]


async def test_lanes_do_not_share_what_is_held() -> None:
    said = [(0, "content", "aa"), (1, "content", "bb"), (0, "content", "cc"),
            (0, "reasoning_content", "rr")]  # fmt: skip
    events = [chunk(index, {field: text}) for index, field, text in said]
    endings = [chunk(index, {}, "stop") for index in (1, 0)]
    body = CHAT.fold(await rewritten([*events, *endings]))
    told = {choice["index"]: choice["message"] for choice in body["choices"]}
    assert told[0]["content"] == "AACC"
    assert told[0]["reasoning_content"] == "RR"
    assert told[1]["content"] == "BB"


async def test_an_answer_without_an_ending_gives_back_what_was_held() -> None:
    assert "".join(texts(await rewritten(spoken(["hello"])[:-1]))) == "HELLO"


async def test_tool_arguments_are_a_lane_of_json() -> None:
    events = called(['{"a":', "1}"])
    lanes = [run.lane for event in events for run in CHAT.runs(event)]
    assert set(lanes) == {Lane(0, "tool_calls/0/function/arguments", json=True)}
    assert str(lanes[0]) == "0/tool_calls/0/function/arguments"
    body = CHAT.fold(await rewritten(events))
    [call] = body["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "send", "arguments": '{"A":1}'}


async def test_a_call_that_waited_begins_where_its_text_is_as_it_came() -> None:
    """Its id and name leave with the first of its arguments, though no rule edits those."""
    events = [Event(each.data, raw=each.encode()) for each in called(['{"a":', "1}"])]
    said = await answering(events)(exchange_of(chat_request()))
    sent = [each.encode() for each in await heard(per_lane(lambda lane: Says("", ""), CHAT)(said))]
    body = CHAT.fold([Event(json.loads(each)) for each in sent])
    [call] = body["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "t1", "type": "function",
                    "function": {"name": "send", "arguments": '{"a":1}'}}  # fmt: skip


async def test_events_that_say_nothing_any_more_are_not_sent() -> None:
    events = await rewritten(spoken(["a", "b", "c"]), most=9)
    assert texts(events) == ["", "ABC"]  # the role, what was held, and the ending


async def test_what_spells_the_text_out_goes_with_it() -> None:
    event = chunk(0, {"content": "hello"})
    event.data["choices"][0]["logprobs"] = {"content": [{"token": "hello", "logprob": 0.0}]}
    for said in await rewritten([event, chunk(0, {}, "stop")]):
        assert b"token" not in said.encode()


class TestARuleIsBroken:
    async def told(self, events: Sequence[Event]) -> list[Event]:
        """What is heard before the rule is found broken, which it is."""
        received: list[Event] = []
        said = await answering(events)(exchange_of(chat_request()))
        with pytest.raises(Filtered):
            await into(received, per_lane(lambda lane: Holds(), CHAT)(said))
        return received

    @pytest.mark.parametrize(
        "pieces", [["hi there! bomb"], ["hi the", "re! bomb"], list("hi there! bomb")]
    )
    async def test_text_cleared_before_it_is_shown_and_no_more(self, pieces: list[str]) -> None:
        events = await self.told(spoken(pieces))
        assert "".join(texts(events)) == "HI THERE"
        assert not any(CHAT.ended(event) for event in events)

    async def test_it_may_be_found_at_the_end(self) -> None:
        events = await self.told(spoken(["hello", "?x"]))
        assert "".join(texts(events)) == "HELLO"
        assert not any(CHAT.ended(event) for event in events)

    async def test_an_answer_without_an_ending_is_stopped_too(self) -> None:
        events = await self.told(spoken(["hello", "?x"])[:-1])
        assert "".join(texts(events)) == "HELLO"

    async def test_nothing_is_shown_of_a_whole_answer(self) -> None:
        assert await self.told([whole_of("hi! bomb")]) == []

    async def test_an_event_that_says_text_and_ends_does_not_end(self) -> None:
        [event] = await self.told([chunk(0, {"content": "ok! bomb"}, "stop")])
        assert texts([event]) == ["OK"]
        assert not CHAT.ended(event)
        assert b"stop" not in event.encode()

    async def test_later_runs_of_the_event_are_not_shown(self) -> None:
        both = chunk(0, {"content": "no!", "refusal": "secret"})
        assert texts(await self.told([both])) == ["NO", ""]


class TestChain:
    async def test_the_second_sees_what_the_first_lets_through(self) -> None:
        chain = Chain(Holds(), Says("<", ">"))
        assert await chain.feed("hello") == "<HEL"
        assert await chain.finish() == "LO>"

    async def test_the_second_is_not_asked_about_nothing(self) -> None:
        chain = Chain(Holds(9), Says("<", ">"))
        assert await chain.feed("hello") == ""
        assert await chain.finish() == "<HELLO>"

    async def test_what_the_first_cleared_passes_the_second_before_it_is_shown(self) -> None:
        chain = Chain(Holds(), Says("<", ">"))
        with pytest.raises(Filtered) as broken:
            await chain.feed("go!")
        assert broken.value.shown == "<GO"

    async def test_what_the_second_stops_is_not_shown_for_the_first(self) -> None:
        chain = Chain(Says("", "ab?c"), Holds(4))
        with pytest.raises(Filtered) as broken:
            await chain.finish()
        assert broken.value.shown == "AB"
