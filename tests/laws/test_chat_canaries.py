"""Law 5 on the way out of chat and completions: what a rule bans leaves in no place of an
answer, also in members that OpenAI's own API does not have.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.core.answer import Event
from gateway.core.errors import Filtered
from gateway.core.exchange import Call, Exchange
from gateway.core.policy import Decision
from gateway.dialects.completions import Completions
from tests.exchanges import answering, chunk, spoken, whole
from tests.laws.test_answers_cut import CALL, SAID, baseline, cuts, read, tells

PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "annotation": lambda text: {
        "annotations": [{"type": "url_citation", "url_citation": {"title": text}}]
    },
    "reasoning details": lambda text: {
        "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": text}]
    },
    "a part of another type": lambda text: {"content": [{"type": "reference", "title": text}]},
    "an unknown member": lambda text: {"extra_content": {"of": [text]}},
    "a name in an unknown member": lambda text: {"extra_content": {"of": [{text: 1}]}},
    "a name in a part of another type": lambda text: {
        "content": [{"type": "reference", "of": {text: {"x": "y"}}}]
    },
    "a call's name": lambda text: {
        "tool_calls": [CALL | {"index": 0, "function": {"name": text, "arguments": "{}"}}]
    },
    "beside a call": lambda text: {
        "tool_calls": [
            CALL | {"index": 0, "note": text, "function": {"name": "f", "arguments": "{}"}}
        ]
    },
}


@pytest.mark.parametrize("place", PLACES)
def test_a_banned_phrase_never_leaves_in_a_message(place: str) -> None:
    released, _, stopped = read([whole(**{"text": "fine", **_content(place)})])
    assert (released, stopped) == ("", True)


def _content(place: str) -> dict[str, Any]:
    said = PLACES[place](SAID)
    return {"text": said.pop("content"), **said} if "content" in said else said


@pytest.mark.parametrize("place", PLACES)
def test_a_banned_phrase_never_leaves_in_a_delta(place: str) -> None:
    events = [*spoken(["Fine. "])[:-1], chunk(0, PLACES[place](SAID)), chunk(0, {}, "stop")]
    released, _, stopped = read(events)
    assert stopped
    assert not tells(released)


def test_a_banned_phrase_never_leaves_at_the_top_level() -> None:
    event = whole("fine")
    event.data["search_results"] = [{"title": SAID}]
    assert read([event])[0::2] == ("", True)
    released, _, stopped = read([chunk(0, {"content": "Fine. "}, citations=[SAID])])
    assert stopped
    assert not tells(released)


def test_reasoning_in_pieces_is_read_as_one_text() -> None:
    for texts in cuts(SAID):
        deltas = [PLACES["reasoning details"](text) for text in texts]
        released, _, stopped = read([*(chunk(0, d) for d in deltas), chunk(0, {}, "stop")])
        assert stopped, texts
        assert not tells(released), texts


def test_what_was_said_so_far_is_not_repeated_in_clear() -> None:
    for texts in cuts(SAID):
        events = spoken(texts)
        so_far = ""
        for event in events:
            [choice] = event.data["choices"]
            so_far += choice["delta"].get("content", "")
            choice["message"] = {"role": "assistant", "content": so_far}
        released, _, stopped = read(events)
        assert stopped, texts
        assert not tells(released), texts


def completed(events: Sequence[Event]) -> tuple[str, bool]:
    """The bytes that the caller of completions gets, and whether the answer was stopped."""
    verdict, stage = baseline()
    released: list[bytes] = []

    async def main() -> bool:
        async def unread() -> bytes:
            return b""

        exchange = Exchange(Completions(), unread, Call("key"))
        exchange.request = {"model": "m", "prompt": "hello"}
        exchange.slots = exchange.dialect.slots(exchange.request)
        exchange.decision = Decision("dec_1", "sha256:1", verdict)
        try:
            async for event in await stage(exchange, answering(events)):
                released.append(event.encode())
        except Filtered:
            return True
        return False

    stopped = asyncio.run(main())
    return b"".join(released).decode(), stopped


@pytest.mark.parametrize("whole_answer", [True, False])
@pytest.mark.parametrize(
    "more",
    [{"message": {"content": SAID}}, {"note": [SAID]}, {"finish_reason": SAID}],
)
def test_a_banned_phrase_never_leaves_in_a_completion(
    more: dict[str, Any], whole_answer: bool
) -> None:
    choice = {"index": 0, "text": "fine", "finish_reason": "stop", **more}
    released, stopped = completed([Event({"choices": [choice]}, whole=whole_answer)])
    assert stopped or "message" not in json.loads(released)["choices"][0]
    assert not tells(released)
