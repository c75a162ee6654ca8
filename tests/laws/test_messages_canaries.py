"""Law 5 for messages: what a rule masks leaves in no place of a request, and what it bans never
reaches the caller, wherever it stands in an answer and wherever the answer is cut.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

import orjson
import pytest

from gateway.adapters.presidio import PresidioMasker
from gateway.core.answer import Event, Events
from gateway.core.errors import Filtered
from gateway.core.exchange import Exchange
from gateway.dialects.messages import Messages
from gateway.inspectors.pii import PiiInspector
from gateway.obligations.mask import Mask
from gateway.stages.discharge import Discharge
from tests.exchanges import answering, heard
from tests.laws.test_answers_cut import PHRASE, SAID, baseline, cuts, tells
from tests.laws.test_canaries import CANARIES, FORMS, masked_labels
from tests.laws.test_messages_chunking import exchange_of
from tests.unit.dialects.test_messages_answer import (
    answer,
    called,
    delta,
    message,
    spoken,
    start,
    started,
    stop,
)
from tests.unit.dialects.test_messages_request import CANARY, places, request_of

MESSAGES = Messages()
TOGETHER = " and ".join(CANARIES.values())
MASK = ("mask", {"labels": masked_labels(), "min_score": 0.5, "with": "placeholder"})


@pytest.mark.parametrize("place", places())
@pytest.mark.parametrize("said", [*CANARIES.values(), f"Mine are {TOGETHER}."])
async def test_masked_in_every_place(place: str, said: str) -> None:
    request = json.loads(json.dumps(places()[place]).replace(CANARY, said))
    exchange = exchange_of(MESSAGES.check(request), MASK)
    exchange.found(await PiiInspector().inspect([slot.passage() for slot in exchange.slots]))
    sent: list[bytes] = []

    async def echo(exchange: Exchange) -> Events:
        sent.append(MESSAGES.encode(exchange.request)[1])
        text = {"type": "text", "text": sent[0].decode()}
        return await answering([Event(message(text), whole=True)])(exchange)

    [event] = await heard(await Discharge({"mask": Mask(PresidioMasker())})(exchange, echo))
    assert not [form for form in FORMS if form.encode() in sent[0]], place
    assert b"[[" in sent[0]
    assert said in event.data["content"][0]["text"], "the caller gets its own values back"


JSON = json.dumps({"n": 1, "how": SAID})
STREAMED: dict[str, tuple[Callable[[Sequence[str]], list[Event]], str]] = {
    "text": (spoken, SAID),
    "thinking": (lambda texts: spoken(texts, "thinking"), SAID),
    "input": (called, JSON),
    "escaped input": (called, JSON.replace("bomb", "b\\u006fm\\u0062")),
    "broken input": (called, JSON[:-2]),
    "server tool": (lambda texts: called(texts, kind="server_tool_use"), JSON),
}
CALL = {"type": "tool_use", "id": "t", "name": "send"}
AT_ONCE = {
    "text": {"type": "text", "text": SAID},
    "citation": {"type": "text", "text": "", "citations": [{"cited_text": SAID}]},
    "thinking": {"type": "thinking", "thinking": SAID, "signature": ""},
    "input": CALL | {"input": {"how": [SAID]}},
    "names in input": CALL | {"input": {SAID: 1}},
    "result": {"type": "web_search_tool_result", "content": [{"title": SAID}]},
    "an unknown block": {"type": "hologram", "frames": {"of": SAID}},
    "a name in an unknown block": {"type": "hologram", "frames": [{SAID: {"x": "y"}}]},
    "a name in a result": {"type": "x_tool_result", "content": {"of": {SAID: 1}}},
}


def read(events: Sequence[Event]) -> tuple[str, str, bool]:
    """The bytes that the caller gets, the blocks they fold to, and whether it was stopped."""
    verdict, stage = baseline()
    released: list[Event] = []

    async def main() -> bool:
        exchange = exchange_of(request_of("hello"), verdict=verdict)
        try:
            async for event in await stage(exchange, answering(events)):
                released.append(Event(orjson.loads(event.encode()), whole=event.whole))
        except Filtered:
            return True
        return False

    stopped = asyncio.run(main())
    blocks = MESSAGES.fold(released)["content"] if released else []
    return b"".join(event.encode() for event in released).decode(), json.dumps(blocks), stopped


@pytest.mark.parametrize("place", STREAMED)
def test_a_banned_phrase_never_leaves_in_a_stream(place: str) -> None:
    stream, text = STREAMED[place]
    seen: set[str] = set()
    for texts in cuts(text):
        released, folded, stopped = read(answer(stream(texts)))
        assert stopped, texts
        assert not tells(released), texts
        assert "message_delta" not in released, "it did not end as it said"
        assert '"send"' not in released, "no call is half delivered"
        seen.add(folded)
    assert len(seen) == 1, "what is shown before depends on the cut"


@pytest.mark.parametrize("place", AT_ONCE)
def test_a_banned_phrase_never_leaves_at_once(place: str) -> None:
    released, _, stopped = read([Event(message(AT_ONCE[place]), whole=True)])
    assert (released, stopped) == ("", True)
    for events in (
        answer([start(AT_ONCE[place]), stop()]),
        MESSAGES.unfold(message(AT_ONCE[place]), {}),
    ):
        released, _, stopped = read(events)
        assert stopped
        assert not tells(released)
        assert '"send"' not in released


@pytest.mark.parametrize(
    "event",
    [
        delta("citations_delta", citation={"cited_text": SAID}),
        delta("compaction_delta", content=SAID),
        delta("smell_delta", of=[SAID]),
        Event({"type": "smell", "of": [SAID]}),
        Event({"type": "message_delta", "delta": {"stop_sequence": SAID}}),
        Event({"type": "message_delta", "delta": {"stop_details": {"explanation": PHRASE}}}),
    ],
)
def test_a_banned_phrase_never_leaves_in_one_event(event: Event) -> None:
    before = [started(), start({"type": "text", "text": ""})]
    released, _, stopped = read([*before, event, stop()])
    assert stopped
    assert not tells(released)
