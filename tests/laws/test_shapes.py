"""Whatever a provider says and whatever a policy wants done with it: what leaves the gateway has
the shape that its API publishes, whole or streamed, refusals and failures included."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.wiring import DIALECTS
from tests.shapes import OutOfShape, check_answer, check_error, check_stream, made
from tests.shapes.answers import known
from tests.shapes.events import STREAMED
from tests.shapes.house import House
from tests.shapes.kinds import CHAT, DECLINED, KINDS, MESSAGES, RESPONSES, RULES

NO = ("capped", "all", *(rule for rule in RULES if rule.startswith("filtered")))
"""Rules that may refuse what was said, or asked."""


@pytest.mark.parametrize("name", KINDS)
@given(st.data())
def test_what_leaves_has_its_shape(name: str, data: st.DataObject) -> None:
    """Asked for whole and as a stream, of a provider that may do either, twice for the cache."""
    kind = KINDS[name]
    whole, streams = data.draw(kind.answers), data.draw(st.booleans()) and kind.stream is not None
    body = said(name, whole, data.draw(made.CUTS) if streams else None)
    rule, first = data.draw(st.sampled_from(sorted(RULES))), data.draw(st.booleans())
    more = asking(name, whole)
    counted = {"stream_options": {"include_usage": True}} if data.draw(st.booleans()) else {}

    async def main() -> None:
        house = House(kind, body, streams, RULES[rule])
        for stream in (first, not first):
            wanted = stream and kind.stream is not None
            usage = counted if wanted and "n" in more else {}
            wire = await house.ask(wanted, **more, **usage)
            assert wire.status == 200 or rule in NO, wire.body

    asyncio.run(main())


def said(name: str, whole: made.Json, cuts: list[int] | None) -> bytes:
    """What the provider sends, itself in shape: whole, or cut."""
    kind = KINDS[name]
    path = kind.theirs or kind.path
    check_answer(path, whole)
    if cuts is None or kind.stream is None:
        return orjson.dumps(whole)
    body = kind.stream(whole, cuts)
    check_stream(path, body)
    return body


def asking(name: str, whole: made.Json) -> dict[str, Any]:
    """What must be asked for as many choices as the answer has."""
    return {"n": len(whole["choices"])} if name in ("chat", "completions") else {}


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.stream])
@given(st.data())
def test_what_breaks_off_has_its_shape(name: str, data: st.DataObject) -> None:
    """The provider hangs up anywhere; the caller is told, in the stream or instead of it."""
    whole = data.draw(KINDS[name].answers)
    body = said(name, whole, data.draw(made.CUTS))
    torn = body[: data.draw(st.integers(0, len(body)))]
    # Of a usage that chat never told, Messages' counts are null: not known is not nothing.
    ended, counted = b'"finish_reason":"' in torn, b'"total_tokens"' in torn
    assume(name != "messages of chat" or counted or not ended)
    rule, stream = data.draw(st.sampled_from(sorted(RULES))), data.draw(st.booleans())
    house = House(KINDS[name], torn, True, RULES[rule])
    asyncio.run(house.ask(stream, **asking(name, whole)))


WORDS = st.none() | st.text(max_size=5) | st.integers(-9, 999) | st.just({})
FAULTS = st.one_of(
    st.dictionaries(st.sampled_from(["message", "type", "param", "code", "more"]), WORDS).map(
        lambda error: orjson.dumps({"error": error})
    ),
    st.sampled_from([b"", b"no", b"[]", b"{}", b'"', b'{"error":"no"}', b'{"error":[1]}']),
)


@pytest.mark.parametrize("name", KINDS)
@given(FAULTS, st.sampled_from([200, 400, 401, 404, 408, 413, 422, 429, 500, 503, 529, 204, 302]),
       st.booleans())  # fmt: skip
def test_what_the_provider_refuses_has_its_shape(
    name: str, body: bytes, status: int, stream: bool
) -> None:
    """Also where its error is in nobody's shape, or stands where an answer should be."""
    if status == 200 and b"error" not in body:
        return  # an odd answer, which is passed on as it is or refused
    kind = KINDS[name]
    house = House(kind, body, stream, status=status)
    asyncio.run(house.ask(stream and kind.stream is not None))


REFUSALS: dict[str, tuple[int, dict[str, str], bytes, str]] = {
    "no key": (401, {"authorization": "x"}, b"{}", "POST"),
    "another key": (401, {"authorization": "Bearer other"}, b"{}", "POST"),
    "no JSON, no form": (400, {}, b"{", "POST"),
    "an empty object": (400, {}, b"{}", "POST"),
    "a list": (400, {}, b"[]", "POST"),
    "too deep": (400, {}, b"[" * 2_000, "POST"),
    "too large": (413, {}, b" " * (1 << 17), "POST"),
    "compressed": (415, {"content-encoding": "gzip"}, b"{}", "POST"),
    "another type": (415, {"content-type": "text/html"}, b"{}", "POST"),
    "another method": (405, {}, b"", "DELETE"),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused_at_the_door_has_its_shape(name: str, case: str) -> None:
    status, headers, body, method = REFUSALS[case]
    kind = KINDS[name]
    media = "multipart/form-data; boundary=x" if kind.takes_forms else "application/json"
    known = {"authorization": "Bearer key", "content-type": media, **headers}
    wire = asyncio.run(House(kind, b"", False).send(known, body, method))
    assert wire.status == status


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("effect", ["deny", "review"])
@pytest.mark.parametrize("name", KINDS)
def test_what_the_policy_refuses_has_its_shape(name: str, effect: str, stream: bool) -> None:
    kind = KINDS[name]
    house = House(kind, b"", False, effect=effect)
    wire = asyncio.run(house.ask(stream and kind.stream is not None))
    assert wire.status == {"deny": 400, "review": 503}[effect]
    assert "governance" in wire.json["error"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", DECLINED)
@pytest.mark.parametrize("name", KINDS)
def test_a_refusal_that_is_an_answer_has_its_shape(name: str, how: str, stream: bool) -> None:
    """Where an API has no such answer, it is an error."""
    kind = KINDS[name]
    house = House(kind, b"", False, [("respond_with", {"how": how})], effect="deny")
    wire = asyncio.run(house.ask(stream and kind.stream is not None))
    assert wire.status == (200 if kind.path in (CHAT, RESPONSES, MESSAGES) else wire.status)
    assert wire.status in (200, 400)


def test_every_endpoint_has_a_shape() -> None:
    """One that is new has none until somebody says what it is."""
    asked = {"model": "m", "stream": True, "stream_format": "sse", "messages": []}
    answered = {pattern for method, pattern in known() if method == "POST"}
    assert set(DIALECTS) - {"/v1/audio/speech"} <= answered, "speech answers with sound"
    streaming = {path for path, dialect in DIALECTS.items() if dialect.streams(dict(asked))}
    assert streaming == STREAMED


def without(value: Any) -> Iterator[tuple[str, Any]]:
    """Copies of `value` that lack one member each, with the name of it."""
    for name, item in value.items() if isinstance(value, dict) else ():
        rest = {key: other for key, other in value.items() if key != name}
        yield name, rest
        yield from ((found, {**value, name: inner}) for found, inner in without(item))
    for place, item in enumerate(value if isinstance(value, list) else ()):
        for found, inner in without(item):
            yield found, [*value[:place], inner, *value[place + 1 :]]


SAMPLES: dict[str, tuple[made.Json, set[str]]] = {
    CHAT: (
        {**made.HEAD, "object": "chat.completion", "usage": made.USAGE, "choices": [
            {"index": 0, "finish_reason": "stop", "logprobs": None,
             "message": {"role": "assistant", "content": "x", "refusal": None}}]},
        {"usage"},
    ),
    MESSAGES: (
        {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
         "content": [{"type": "text", "text": "x"}], "stop_sequence": None,
         "usage": {"input_tokens": 1, "output_tokens": 2}},
        set(),
    ),
}  # fmt: skip
"""An answer with what is promised and, by name, what is not."""


@pytest.mark.parametrize("path", SAMPLES)
def test_the_checks_miss_nothing_that_is_promised(path: str) -> None:
    """Were a member to get lost, the laws above would say so."""
    sample, free = SAMPLES[path]
    check_answer(path, sample)
    lacking = list(without(copy.deepcopy(sample)))
    assert len(lacking) > 10
    for name, rest in lacking:
        if name in free:
            check_answer(path, rest)
        else:
            with pytest.raises(OutOfShape):
                check_answer(path, rest)


WRONG: dict[str, Mapping[str, Any]] = {
    "a number as code": {"message": "x", "type": "x", "param": None, "code": 1},
    "no param": {"message": "x", "type": "x", "code": None},
    "something more": {"message": "x", "type": "x", "param": None, "code": None, "x": 1},
}


@pytest.mark.parametrize("case", WRONG)
def test_the_checks_know_an_error(case: str) -> None:
    right = {"message": "x", "type": "x", "param": None, "code": None}
    check_error(CHAT, {"error": right})
    with pytest.raises(OutOfShape):
        check_error(CHAT, {"error": WRONG[case]})
    with pytest.raises(OutOfShape):
        check_error(MESSAGES, {"error": right})


_OPENED = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
_ENDED = {"index": 0, "delta": {}, "finish_reason": "stop"}
_CALLED = {**_OPENED, "delta": {"tool_calls": [{"index": 0}]}}
STREAMS = {
    "no role": [_ENDED],
    "no ending": [_OPENED],
    "more after the ending": [_OPENED, _ENDED, _OPENED],
    "a call without a name": [_OPENED, _CALLED, _ENDED],
    "a choice left out": [{**_OPENED, "index": 1}, {**_ENDED, "index": 1}],
}


@pytest.mark.parametrize("case", STREAMS)
def test_the_checks_know_a_stream(case: str) -> None:
    head = {**made.HEAD, "object": "chat.completion.chunk"}
    check_stream(CHAT, made.lines([{**head, "choices": [each]} for each in (_OPENED, _ENDED)]))
    events = [{**head, "choices": [each]} for each in STREAMS[case]]
    with pytest.raises(OutOfShape):
        check_stream(CHAT, made.lines(events))
