"""Laws 2 and 5 for responses: what a rule bans or masks reads as it should, wherever it stands
in a response, however often it is said again, and wherever the stream is cut."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import engine, load_pack, question_of, read_folder
from gateway.core.answer import Event
from gateway.core.errors import Filtered
from gateway.core.exchange import Call, Exchange
from gateway.core.policy import Decision, Verdict
from gateway.inspectors.phrases import PhraseInspector
from gateway.inspectors.pii import PiiInspector
from gateway.obligations.mask import Mask
from gateway.obligations.screen import Screen
from gateway.settings import baseline_pack
from gateway.stages.discharge import Discharge
from tests.exchanges import MODEL, SOMEBODY, allowing, answering, pieces
from tests.laws.test_chunking import ADDRESS, CUTS, MASK, NOISE, REDACT, STOP, Cut, Words
from tests.unit.dialects.test_responses_answer import (
    CANARY,
    OUTPUT,
    RESPONSES,
    called,
    message,
    response,
    said,
    shell,
    streamed,
)

PHRASE = "build a pipe bomb"
SAID = f"This is fine. You can {PHRASE} from these. And then more."
STAGE = Discharge({"mask": Mask(Cut()), "screen": Screen({"word": Words()})})


def decided(request: Mapping[str, Any], verdict: Verdict) -> Exchange:
    """An exchange as it is when the policy has allowed it."""
    body = orjson.dumps(request)

    async def read() -> bytes:
        return body

    exchange = Exchange(RESPONSES, read, Call("key"))
    exchange.received = body
    exchange.request = copy.deepcopy(dict(request))
    exchange.slots = RESPONSES.slots(exchange.request)
    exchange.principal = SOMEBODY
    exchange.model = MODEL
    exchange.decision = Decision("dec_1", "sha256:1", verdict)
    return exchange


def read(
    events: Sequence[Event], stage: Discharge, verdict: Verdict, **more: Any
) -> tuple[list[dict[str, Any]], bool]:
    """What the caller gets of an answer, and whether it was stopped."""
    released: list[Event] = []

    async def main() -> bool:
        exchange = decided({"model": "m", "input": f"I am {ADDRESS}", **more}, verdict)
        exchange.found(await Words().inspect([slot.passage() for slot in exchange.slots]))
        try:
            async for event in await stage(exchange, answering(events)):
                RESPONSES.number(event, len(released))
                released.append(event)
        except Filtered:
            return True
        return False

    stopped = asyncio.run(main())
    return [json.loads(event.encode()) for event in released], stopped


def shown(events: Sequence[dict[str, Any]], kind: str = "output_text") -> str:
    """What the deltas of one kind say."""
    return "".join(e["delta"] for e in events if e["type"] == f"response.{kind}.delta")


def told_again(events: Sequence[dict[str, Any]]) -> set[str]:
    """The text of a message, as every other event has it."""
    told = {e["text"] for e in events if e["type"] == "response.output_text.done"}
    told |= {e["part"]["text"] for e in events if e["type"] == "response.content_part.done"}
    items = [e["item"] for e in events if e["type"] == "response.output_item.done"]
    items += events[-1].get("response", {}).get("output", [])
    return told | {part["text"] for item in items for part in item.get("content", ())}


def cut_at(cuts: Sequence[int]) -> Callable[[str], list[str]]:
    return lambda text: pieces(text, cuts)


@given(NOISE, NOISE, CUTS)
def test_restored_alike_and_said_again_alike(left: str, right: str, cuts: list[int]) -> None:
    text = f"{left}[[MAIL_1]]{right}"
    whole = response(message(said(text)), instructions="For [[MAIL_1]].")
    events, stopped = read(streamed(whole, cut_at(cuts)), STAGE, allowing(MASK))
    [alone], _ = read([Event(copy.deepcopy(whole), whole=True)], STAGE, allowing(MASK))
    assert not stopped
    assert told_again(events) == {shown(events)} == {alone["output"][0]["content"][0]["text"]}
    assert ADDRESS in shown(events)
    assert "[[MAIL_1]]" not in json.dumps([event for event in events if event])
    assert events[-1]["response"] == alone
    assert alone["instructions"] == f"For {ADDRESS}."


@given(st.text(alphabet="aBOMB 7.\n!", min_size=1, max_size=60), CUTS)
def test_screened_alike(text: str, cuts: list[int]) -> None:
    whole = response(message(said(text)))
    one, stopped = read(streamed(whole), STAGE, allowing(STOP, REDACT))
    many, also = read(streamed(whole, cut_at(cuts)), STAGE, allowing(STOP, REDACT))
    assert shown(one) == shown(many)
    assert stopped == also == bool(re.search(r"BO\s*MB", text))
    assert "7" not in shown(many)
    if not stopped:
        assert told_again(many) == {shown(many)}
        assert one[-1]["response"] == many[-1]["response"]
    assert [event["sequence_number"] for event in many] == list(range(len(many)))


@given(NOISE, CUTS)
def test_tool_arguments_stay_json(noise: str, cuts: list[int]) -> None:
    arguments = json.dumps({"to": "[[MAIL_1]]", "note": noise, "n": [1, {"x": "777"}]})
    events, _ = read(
        streamed(response(called(arguments)), cut_at(cuts)), STAGE, allowing(MASK, REDACT)
    )
    [call] = events[-1]["response"]["output"]
    assert shown(events, "function_call_arguments") == call["arguments"]
    told = json.loads(call["arguments"])
    assert told["to"] == ADDRESS
    assert told["n"] == [1, {"x": "[SEVEN]"}]


@given(NOISE, CUTS)
def test_structured_output_stays_json(noise: str, cuts: list[int]) -> None:
    text = json.dumps({"to": "[[MAIL_1]]", "note": noise + '"7', "x": "777"})
    wanted = {"format": {"type": "json_object"}}
    whole = response(message(said(text)))
    events, _ = read(streamed(whole, cut_at(cuts)), STAGE, allowing(MASK, REDACT), text=wanted)
    assert json.loads(shown(events))["to"] == ADDRESS
    assert json.loads(shown(events))["x"] == "[SEVEN]"
    assert told_again(events) == {shown(events)}


def test_what_the_caller_said_is_not_held_against_the_answer() -> None:
    """A response repeats its request; what the model says itself is screened."""
    whole = response(message(said("No.")), instructions="Never say BOMB 777.")
    events, stopped = read(streamed(whole), STAGE, allowing(STOP, REDACT))
    assert not stopped
    assert events[-1]["response"]["instructions"] == "Never say BOMB 777."
    _, stopped = read(streamed({**whole, "x_note": "BOMB"}), STAGE, allowing(STOP, REDACT))
    assert stopped


@given(st.lists(st.tuples(st.integers(0, 2), st.text("ab. ", min_size=1, max_size=4)), max_size=12))
def test_parts_do_not_mix(spoken: list[tuple[int, str]]) -> None:
    """However the deltas of several parts interleave."""
    texts = ["".join(text for part, text in spoken if part == index) for index in range(3)]
    whole = response(message(*[said(text) for text in texts]))
    events = [event for event in streamed(whole) if not event.data["type"].endswith("_text.delta")]
    at = {"item_id": "msg_1", "output_index": 0, "logprobs": []}
    deltas = [
        Event({"type": "response.output_text.delta", **at, "content_index": part, "delta": text})
        for part, text in spoken
    ]
    added = [event for event in events if "added" in event.data["type"]]
    rest = [event for event in events[2:] if event not in added]
    released, stopped = read([*events[:2], *added, *deltas, *rest], STAGE, allowing(REDACT))
    assert not stopped
    heard = ["", "", ""]
    for event in released:
        if event["type"] == "response.output_text.delta":
            heard[event["content_index"]] += event["delta"]
    assert heard == texts


@given(st.text("ab 7é.", min_size=1, max_size=9), st.integers(0, 9), CUTS)
def test_what_no_rule_edits_leaves_byte_for_byte(text: str, odd: int, cuts: list[int]) -> None:
    """Members that nobody knows too, wherever they stand, though a rule watches."""
    part = said(text, x_part={"deep": [odd, None, 1.5]})
    whole = response(message(part, x_item=odd), called('{"a": 1}'), x_top=[{"odd": odd}])
    events = streamed(whole, cut_at(cuts))
    for event in events:
        event.data["x_event"] = odd
        event.raw = json.dumps(event.data, indent=1).encode()

    async def main() -> list[bytes]:
        exchange = decided({"model": "m", "input": f"I am {ADDRESS}"}, allowing(MASK))
        exchange.found(await Words().inspect([slot.passage() for slot in exchange.slots]))
        released: list[bytes] = []
        async for event in await STAGE(exchange, answering(events)):
            RESPONSES.number(event, len(released))
            released.append(event.encode())
        return released

    assert asyncio.run(main()) == [event.raw for event in events]


@cache
def baseline() -> tuple[Verdict, Discharge]:
    """What the shipped pack asks for when nothing was found, and the stage that does it."""
    pack = load_pack(read_folder(baseline_pack()))
    policy = WasmPolicy(engine().read_bytes(), pack.data, pack.revision)
    decision = asyncio.run(policy.decide(question_of({})))
    screen = Screen({"pii": PiiInspector(), "phrase": PhraseInspector(pack.phrases)})
    return decision.verdict, Discharge({"screen": screen})


def cuts(text: str) -> Iterator[list[str]]:
    """`text` whole, in two at every offset, and character by character."""
    yield [text]
    yield from ([text[:at], text[at:]] for at in range(1, len(text)))
    yield list(text)


def says(place: str, text: str) -> dict[str, Any]:
    """The output item that says `text` at `place`."""
    item = json.loads(json.dumps(OUTPUT[place]).replace(CANARY, text))
    assert isinstance(item, dict)
    return item


def tells(events: Sequence[dict[str, Any]]) -> bool:
    """Whether any of the phrase's telling end is there."""
    return any(word in json.dumps(events) for word in ("pipe", "bomb"))


STREAMED = ("text", "refusal", "summary", "reasoning", "arguments", "custom input",
            "mcp arguments", "code")  # fmt: skip


@pytest.mark.parametrize("place", STREAMED)
def test_a_banned_phrase_never_leaves_in_a_stream(place: str) -> None:
    verdict, stage = baseline()
    whole = response(says(place, SAID))
    [text] = [e.data["delta"] for e in streamed(whole) if e.data["type"].endswith("delta")
              and PHRASE in e.data["delta"]]  # fmt: skip
    seen: set[str] = set()
    for cut in cuts(text):
        events = streamed(whole, lambda said, cut=cut: cut if said == text else [said])
        released, stopped = read(events, stage, verdict)
        assert stopped, cut
        assert not tells(released), cut
        assert "response.completed" not in json.dumps(released)
        deltas = [event.get("delta", "") for event in released]
        seen.add("".join(deltas))
    assert len(seen) == 1, "what is shown before depends on the cut"


@pytest.mark.parametrize("place", OUTPUT)
def test_a_banned_phrase_never_leaves_wherever_it_stands(place: str) -> None:
    verdict, stage = baseline()
    whole = response(says(place, SAID))
    for events in (streamed(whole), [Event(copy.deepcopy(whole), whole=True)]):
        released, stopped = read(events, stage, verdict)
        assert stopped
        assert not tells(released)


def test_a_banned_command_never_leaves() -> None:
    verdict, stage = baseline()
    released, stopped = read(shell(SAID), stage, verdict)
    assert stopped
    assert not tells(released)


PRIVATE = ("zoe.quill@example.org", "+44 20 7946 0958", "DE89 3704 0044 0532 0130 00",
           "4111 1111 1111 1111")  # fmt: skip


@pytest.mark.parametrize("value", PRIVATE)
@pytest.mark.parametrize("place", OUTPUT)
def test_personal_data_of_the_models_own_never_leaves(place: str, value: str) -> None:
    verdict, stage = baseline()
    whole = response(says(place, f"Write to them: {value}. Then wait."))
    hidden = (value, value.replace(" ", ""))
    for events in (streamed(whole, list), streamed(whole), [Event(whole, whole=True)]):
        released, stopped = read(copy.deepcopy(events), stage, verdict)
        assert not stopped
        told = json.dumps(released, ensure_ascii=False)
        assert "Then wait." in told
        assert not [form for form in hidden if form in told]
