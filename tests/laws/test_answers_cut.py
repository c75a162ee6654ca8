"""Law 2 and 5, on the way out: what a rule bans never reaches the caller, wherever it stands in
an answer and wherever the answer is cut.

Every offset is tried, with the duties that the baseline pack imposes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import httpx
import pytest

from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import engine, load_pack, question_of, read_folder
from gateway.core.answer import Event
from gateway.core.errors import Filtered
from gateway.core.policy import Verdict
from gateway.inspectors.phrases import PhraseInspector
from gateway.inspectors.pii import PiiInspector
from gateway.obligations.screen import Screen
from gateway.settings import baseline_pack
from gateway.stages.discharge import Discharge
from tests.exchanges import (
    CHAT,
    answering,
    called,
    chat_request,
    chunk,
    decided,
    spoken,
    whole,
)
from tests.houses import House

PHRASE = "build a pipe bomb"
BEFORE, AFTER = "This is fine. You can ", " from these. And then more."
SAID = f"{BEFORE}{PHRASE}{AFTER}"
JSON = json.dumps({"n": 1, "how": SAID})
NAMED = json.dumps({"n": {"deep": [{SAID: 1}]}})
ESCAPED = JSON.replace("bomb", "b\\u006fm\\u0062")
PRIVATE = ("zoe.quill@example.org", "+44 20 7946 0958", "DE89 3704 0044 0532 0130 00",
           "4111 1111 1111 1111")  # fmt: skip


@cache
def baseline() -> tuple[Verdict, Discharge]:
    """What the shipped pack asks for when nothing was found, and the stage that does it."""
    pack = load_pack(read_folder(baseline_pack()))
    policy = WasmPolicy(engine().read_bytes(), pack.data, pack.revision)
    decision = asyncio.run(policy.decide(question_of({})))
    screen = Screen({"pii": PiiInspector(), "phrase": PhraseInspector(pack.phrases)})
    return decision.verdict, Discharge({"screen": screen})


def read(events: Sequence[Event]) -> tuple[str, dict[str, Any], bool]:
    """The bytes that the caller gets, what they fold to, and whether the answer was stopped."""
    verdict, stage = baseline()
    released: list[Event] = []

    async def main() -> bool:
        exchange = decided(chat_request("hello"), verdict)
        try:
            async for event in await stage(exchange, answering(events)):
                released.append(Event(json.loads(event.encode()), whole=event.whole))
        except Filtered:
            return True
        return False

    stopped = asyncio.run(main())
    folded = CHAT.fold(released) if released else {"choices": []}
    return "".join(event.encode().decode() for event in released), folded, stopped


def custom(texts: Sequence[str]) -> list[Event]:
    first = {"index": 0, "id": "t1", "type": "custom", "custom": {"name": "run", "input": ""}}
    events = [chunk(0, {"tool_calls": [first]})]
    events += [chunk(0, {"tool_calls": [{"index": 0, "custom": {"input": t}}]}) for t in texts]
    return [*events, chunk(0, {}, "tool_calls")]


def legacy(texts: Sequence[str]) -> list[Event]:
    events = [chunk(0, {"function_call": {"name": "f", "arguments": ""}})]
    events += [chunk(0, {"function_call": {"arguments": text}}) for text in texts]
    return [*events, chunk(0, {}, "function_call")]


def transcript(texts: Sequence[str]) -> list[Event]:
    return [*(chunk(0, {"audio": {"transcript": text}}) for text in texts), chunk(0, {}, "stop")]


def parts(texts: Sequence[str]) -> list[Event]:
    said = [chunk(0, {"content": [{"type": "text", "text": text}]}) for text in texts]
    return [*said, chunk(0, {}, "stop")]


def field(name: str) -> Callable[[Sequence[str]], list[Event]]:
    return lambda texts: spoken(texts, name)


STREAMED: dict[str, tuple[Callable[[Sequence[str]], list[Event]], str]] = {
    **{name: (field(name), SAID) for name in ("content", "refusal", "reasoning_content",
                                              "reasoning")},
    "parts": (parts, SAID),
    "transcript": (transcript, SAID),
    "arguments": (called, JSON),
    "escaped arguments": (called, ESCAPED),
    "broken arguments": (called, JSON[:-2]),
    "names in arguments": (called, NAMED),
    "legacy arguments": (legacy, JSON),
    "custom input": (custom, SAID),
}  # fmt: skip

CALL = {"id": "t1", "type": "function"}
WHOLE: dict[str, Event] = {
    "content": whole(SAID),
    "refusal": whole(None, refusal=SAID),
    "reasoning_content": whole("fine", reasoning_content=SAID),
    "reasoning": whole("fine", reasoning=SAID),
    "parts": whole(None, content=[{"type": "text", "text": SAID}]),
    "transcript": whole(None, audio={"id": "a", "transcript": SAID}),
    "arguments": whole(None, tool_calls=[CALL | {"function": {"name": "f", "arguments": JSON}}]),
    "escaped arguments": whole(
        None, tool_calls=[CALL | {"function": {"name": "f", "arguments": ESCAPED}}]
    ),
    "names in arguments": whole(
        None, tool_calls=[CALL | {"function": {"name": "f", "arguments": NAMED}}]
    ),
    "legacy arguments": whole(None, function_call={"name": "f", "arguments": JSON}),
    "custom input": whole(None, tool_calls=[{"id": "t", "custom": {"name": "r", "input": SAID}}]),
}


def cuts(text: str) -> Iterator[list[str]]:
    """`text` whole, in two at every offset, and character by character."""
    yield [text]
    yield from ([text[:at], text[at:]] for at in range(1, len(text)))
    yield list(text)


def tells(released: str) -> bool:
    """Whether any of the phrase's telling end is there, however it is spelled."""
    return any(word in released for word in ("pipe", "bomb", "\\u006fm", "\\u0062"))


@pytest.mark.parametrize("place", STREAMED)
def test_a_banned_phrase_never_leaves_in_a_stream(place: str) -> None:
    stream, text = STREAMED[place]
    seen: set[str] = set()
    for texts in cuts(text):
        released, folded, stopped = read(stream(texts))
        assert stopped, texts
        assert not tells(released), texts
        assert 'finish_reason":"' not in released.replace(" ", ""), "it did not end as it said"
        seen.add(json.dumps(folded["choices"]) if place != "parts" else "")
    assert len(seen) == 1, "what is shown before depends on the cut"


@pytest.mark.parametrize("place", WHOLE)
def test_a_banned_phrase_never_leaves_in_one_piece(place: str) -> None:
    released, _, stopped = read([WHOLE[place]])
    assert stopped
    assert released == ""


@pytest.mark.parametrize("value", PRIVATE)
@pytest.mark.parametrize("place", ["content", "refusal", "arguments"])
def test_personal_data_of_the_models_own_never_leaves(place: str, value: str) -> None:
    stream, _ = STREAMED[place]
    text = f"Write to them: {value}. Then wait."
    if place == "arguments":
        text = json.dumps({"to": [value], "note": "Then wait."})
    hidden = {value, value.replace(" ", "")}
    for texts in cuts(text):
        released, _, stopped = read(stream(texts))
        assert not stopped
        assert "Then wait." in "".join(said(released)), texts
        assert not [form for form in hidden if form in "".join(said(released))], texts


def said(released: str) -> Iterator[str]:
    """Every string value in the events, in order."""
    decoder = json.JSONDecoder()
    at = 0
    while at < len(released):
        value, at = decoder.raw_decode(released, at)
        yield from _strings(value["choices"])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


DIRECTIONS = {
    "content": f'say "{SAID}"'.replace("bomb", "b\\u006fmb"),
    "refusal": f'refuse "{SAID}"'.replace("bomb", "b\\u006fmb"),
    "arguments": f"tool f {JSON}".replace("bomb", "b\\u006fmb"),
}
"""What makes the replay provider say it, in words that the request is not refused for."""


@pytest.mark.parametrize("place", DIRECTIONS)
def test_it_never_leaves_over_the_wire(place: str, house: House) -> None:
    headers = {"authorization": f"Bearer {house.key()}"}
    with httpx.Client(base_url=house.base_url, headers=headers, timeout=30) as client:
        for size in (0, 1, 2, 3, 5, 8, 13, 200):
            asked = f"@replay chunk {size}\n@replay {DIRECTIONS[place]}"
            request = {
                "model": "replay-small",
                "messages": [{"role": "user", "content": asked}],
                "tools": [{"type": "function", "function": {"name": "f"}}],
                "stream": size > 0,
            }
            answer = client.post("/chat/completions", json=request)
            assert not tells(answer.text)
            assert '"content_filter"' in answer.text
            assert answer.status_code == (200 if size else 400)
            facts = house.facts(answer.headers["x-request-id"])
            assert (facts["outcome"], facts["code"]) == ("filtered", "content_filter")
