"""The lens of chat completions: where the text is, what is malformed, how answers fold."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Event
from gateway.core.errors import Code, Denied, Malformed, UpstreamError
from gateway.dialects.chat import Chat
from tests.exchanges import chat_request, chunk, whole

CHAT = Chat()
CANARY = "canary"


def places() -> dict[str, dict[str, Any]]:
    """A request for each place where text stands."""
    schema = {"type": "object", "properties": {"name": {"type": "string", "description": CANARY}}}
    owned = {"type": "object", "properties": {CANARY: {"type": "string"}}, "required": [CANARY]}
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    parts = [{"type": "text", "text": CANARY}]
    pattern = {"type": "string", "pattern": CANARY}

    def said(role: str, content: Any = CANARY, **more: Any) -> dict[str, Any]:
        return {"model": "m", "messages": [{"role": role, "content": content, **more}]}

    def calling(**call: Any) -> dict[str, Any]:
        return said("assistant", None, **call)

    arguments = json.dumps({"to": [CANARY]})
    return {
        **{role: said(role) for role in ("system", "developer", "user", "assistant", "tool")},
        "parts": said("user", parts),
        "refusal": said("assistant", None, refusal=CANARY),
        "reasoning": said("assistant", "x", reasoning_content=CANARY),
        "name": said("user", "x", name=CANARY),
        "arguments": calling(
            tool_calls=[call | {"function": {"name": "f", "arguments": arguments}}]
        ),
        "argument names": calling(
            tool_calls=[call | {"function": {"name": "f", "arguments": json.dumps({CANARY: 1})}}]
        ),
        "custom tool": calling(tool_calls=[{"type": "custom", "custom": {"input": CANARY}}]),
        "legacy call": calling(function_call={"name": "f", "arguments": arguments}),
        "beside a call": calling(tool_calls=[call | {"note": [CANARY]}]),
        "beside arguments": calling(
            tool_calls=[call | {"function": {"name": "f", "arguments": "{}", "note": CANARY}}]
        ),
        "beside a legacy call": calling(
            function_call={"name": "f", "arguments": "{}", "note": CANARY}
        ),
        "tool pattern": chat_request(
            tools=[{"type": "function", "function": {"name": "f", "parameters": pattern}}]
        ),
        "tool description": chat_request(
            tools=[{"type": "function", "function": {"name": "f", "description": CANARY}}]
        ),
        "tool parameters": chat_request(
            tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}]
        ),
        "legacy function": chat_request(functions=[{"name": "f", "description": CANARY}]),
        "response format": chat_request(
            response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
        ),
        "prediction": chat_request(prediction={"type": "content", "content": CANARY}),
        "prediction parts": chat_request(prediction={"type": "content", "content": parts}),
        "stop": chat_request(stop=CANARY),
        "stops": chat_request(stop=["x", CANARY]),
        "user id": chat_request(user=CANARY),
        "safety identifier": chat_request(safety_identifier=CANARY),
        "metadata": chat_request(metadata={"case": CANARY}),
        "a name in metadata": chat_request(metadata={CANARY: "x"}),
        "a property": chat_request(
            tools=[{"type": "function", "function": {"name": "f", "parameters": owned}}]
        ),
        "a legacy property": chat_request(functions=[{"name": "f", "parameters": owned}]),
        "a property of the answer": chat_request(
            response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": owned}}
        ),
        "a name in an example": chat_request(
            tools=[{"function": {"name": "f", "parameters": {"examples": [{"x": {CANARY: 1}}]}}}]
        ),
        "an unknown keyword": chat_request(
            tools=[{"function": {"name": "f", "parameters": {CANARY: 1}}}]
        ),
        "a name in a tool": chat_request(tools=[{"function": {"name": "f", CANARY: 1}}]),
        "a name in a message": said("user", "x", **{CANARY: 1}),
        "a name in a part": said("user", [{"type": "text", "text": "x", CANARY: [1]}]),
        "a name in an unknown part": said("user", [{"type": "hologram", "of": {CANARY: 1}}]),
        "a name in a call": calling(tool_calls=[call | {CANARY: 1}]),
        "a name beside arguments": calling(
            tool_calls=[call | {"function": {"name": "f", "arguments": "{}", CANARY: 1}}]
        ),
        "a name in a request": chat_request(**{CANARY: 1}),
        "a name in an unknown member": chat_request(documents=[{CANARY: {"x": 1}}]),
        "a name where the caller is": chat_request(
            web_search_options={"user_location": {CANARY: "x"}}
        ),
        "an unknown member": chat_request(documents=[{"name": CANARY}]),
        "an unknown member of a message": said("user", "x", annotations=[{"text": CANARY}]),
        "where the caller is": chat_request(web_search_options={"user_location": {"city": CANARY}}),
    }


@pytest.mark.parametrize("place", places())
def test_every_text_is_a_slot_and_can_be_rewritten(place: str) -> None:
    request = CHAT.check(places()[place])
    slots = [slot for slot in CHAT.slots(request) if slot.text == CANARY]
    assert len(slots) == 1
    slots[0].put('a "quoted"\nword')
    assert CANARY not in json.dumps(request)
    assert [slot.text for slot in CHAT.slots(request)].count('a "quoted"\nword') == 1


@pytest.mark.parametrize("place", places())
def test_a_place_never_holds_text(place: str) -> None:
    request = places()[place]
    assert all(CANARY not in slot.where for slot in CHAT.slots(request))


def test_text_beside_an_image_is_a_slot_whose_place_is_a_number() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", CANARY: "hi"}}
    request = CHAT.check({"model": "m", "messages": [{"role": "user", "content": [part]}]})
    told = {slot.where: slot.text for slot in CHAT.slots(request)}
    inside = "/messages/0/content/0/image_url"
    assert told == {f"{inside}/#1": "hi", f"{inside}/#": CANARY}


SAID = "mail zoe.quill@example.org"


def named(text: str) -> dict[str, dict[str, Any]]:
    """A request for each place that is structure only while it holds a word."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    def saying(**message: Any) -> dict[str, Any]:
        return chat_request() | {"messages": [{"role": "assistant", **message}]}

    def tool(**function: Any) -> dict[str, Any]:
        return chat_request(tools=[{"type": "function", "function": {"name": "f"} | function}])

    return {
        "call id": saying(tool_calls=[call | {"id": text}]),
        "call type": saying(tool_calls=[call | {"type": text}]),
        "call name": saying(tool_calls=[call | {"function": {"name": text}}]),
        "legacy call name": saying(function_call={"name": text}),
        "tool_call_id": saying(tool_call_id=text),
        "audio id": saying(audio={"id": text}),
        "part type": saying(content=[{"type": text}]),
        "image detail": saying(
            content=[{"type": "image_url", "image_url": {"url": "data:", "detail": text}}]
        ),
        "tool name": tool(name=text),
        "schema type": tool(parameters={"type": ["object", text]}),
        "schema format": tool(parameters={"format": text}),
        "schema required": tool(parameters={"required": [text]}),
        "schema reference": tool(parameters={"$ref": text}),
    }


PAIRED = {"call id", "tool_call_id", "schema required"}
"""Places of words that stand elsewhere too, where they are masked alike."""


@pytest.mark.parametrize("place", named(""))
def test_structure_is_fixed_and_text_where_it_is_no_word(place: str) -> None:
    word = CHAT.check(named("#/$defs/a-b_1.c")[place])
    [slot] = [slot for slot in CHAT.slots(word) if slot.text == "#/$defs/a-b_1.c"]
    assert slot.fixed is (place not in PAIRED)
    for text in (SAID, "4111111111111111", "\u0437\u043e\u044f"):
        request = CHAT.check(named(text)[place])
        [slot] = [slot for slot in CHAT.slots(request) if slot.text == text]
        slot.put("x")
        assert json.dumps(text)[1:-1] not in json.dumps(request)


@pytest.mark.parametrize("place", places())
def test_every_place_has_a_name_of_its_own(place: str) -> None:
    found = [slot.where for slot in CHAT.slots(places()[place])]
    assert len(found) == len(set(found))


def test_numbers_in_arguments_are_text() -> None:
    call = {"function": {"name": "f", "arguments": '{"card": 4111111111111111, "n": 12}'}}
    request = chat_request()
    request["messages"].append({"role": "assistant", "tool_calls": [call]})
    [slot] = [slot for slot in CHAT.slots(request) if slot.text == "4111111111111111"]
    slot.put("[[CREDIT_CARD_1]]")
    assert json.loads(call["function"]["arguments"]) == {"card": "[[CREDIT_CARD_1]]", "n": 12}


def test_parts_that_cannot_be_read_are_opaque() -> None:
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:…"}},
        {"type": "input_audio", "input_audio": {"data": ""}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "hologram"},
    ]
    request = CHAT.check({"model": "m", "messages": [{"role": "user", "content": parts}]})
    assert [finding.label for finding in CHAT.opaque(request)] == ["image", "audio", "file", "part"]


@pytest.mark.parametrize(
    ("member", "label"), [("image_url", "image"), ("file", "file"), ("input_audio", "audio")]
)
@pytest.mark.parametrize("held", ["https://example.org/a.png", {"url": "data:,x"}, ["x"]])
def test_a_text_part_that_holds_more_is_opaque(member: str, label: str, held: Any) -> None:
    part = {"type": "text", "text": "look", member: held}
    request = CHAT.check({"model": "m", "messages": [{"role": "user", "content": [part]}]})
    assert [finding.label for finding in CHAT.opaque(request)] == [label]


MALFORMED: dict[str, tuple[Any, str | None]] = {
    "an array": ([], None),
    "no model": ({"messages": [{"role": "user", "content": "x"}]}, "model"),
    "model is a number": ({"model": 1, "messages": []}, "model"),
    "no messages": ({"model": "m"}, "messages"),
    "messages empty": ({"model": "m", "messages": []}, "messages"),
    "messages a string": ({"model": "m", "messages": "hi"}, "messages"),
    "message a string": ({"model": "m", "messages": ["hi"]}, "messages[0]"),
    "no role": ({"model": "m", "messages": [{"content": "x"}]}, "messages[0].role"),
    "a role of another kind": (
        {"model": "m", "messages": [{"role": "ann@example.org", "content": "x"}]},
        "messages[0].role",
    ),
    "content a number": (
        {"model": "m", "messages": [{"role": "user", "content": 1}]},
        "messages[0].content",
    ),
    "part a string": (
        {"model": "m", "messages": [{"role": "user", "content": ["x"]}]},
        "messages[0].content[0]",
    ),
    "part without type": (
        {"model": "m", "messages": [{"role": "user", "content": [{"text": "x"}]}]},
        "messages[0].content[0].type",
    ),
    "text part without text": (
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text",
    ),
    "tool calls an object": (
        {"model": "m", "messages": [{"role": "assistant", "tool_calls": {}}]},
        "messages[0].tool_calls",
    ),
    "arguments an object": (
        {
            "model": "m",
            "messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": {}}}]}],
        },
        "messages[0].tool_calls[0].function.arguments",
    ),
    **{
        f"other models by {name}": (chat_request(**{name: ["x"]}), name)
        for name in ("models", "fallbacks", "route")
    },
    "stream a string": (chat_request(stream="true"), "stream"),
    "n zero": (chat_request(n=0), "n"),
    "n true": (chat_request(n=True), "n"),
    "n huge": (chat_request(n=1_000_000), "n"),
    "max_tokens negative": (chat_request(max_tokens=-1), "max_tokens"),
    "max_tokens a float": (chat_request(max_tokens=1.5), "max_tokens"),
    "tools an object": (chat_request(tools={}), "tools"),
    "tool a string": (chat_request(tools=["f"]), "tools[0]"),
    "function a string": (chat_request(tools=[{"function": "f"}]), "tools[0].function"),
    "stop numbers": (chat_request(stop=[1]), "stop[0]"),
    "metadata a list": (chat_request(metadata=[]), "metadata"),
    "response_format a string": (chat_request(response_format="json"), "response_format"),
    "stream_options a list": (chat_request(stream_options=[]), "stream_options"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_requests_name_the_field(case: str) -> None:
    body, param = MALFORMED[case]
    with pytest.raises(Malformed) as refused:
        CHAT.check(body)
    assert refused.value.param == param


NAMES = [
    *("model", "messages", "role", "content", "type", "text", "tools", "function"),
    *("tool_calls", "arguments", "stop", "n", "metadata", "custom"),
]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=25,
)
REQUESTS = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.lists(ANY, min_size=1, max_size=2)},
    optional={
        name: ANY
        for name in ("tools", "functions", "tool_choice", "stop", "metadata", "response_format")
    },
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.just("user")},
    optional={name: ANY for name in ("content", "tool_calls", "function_call", "name")},
)


@given(ANY | REQUESTS | st.builds(lambda m: {"model": "m", "messages": [m]}, MESSAGES))
def test_any_json_is_checked_or_refused(body: Any) -> None:
    """What passes the check can be read by every part of the lens."""
    try:
        request = CHAT.check(body)
    except Malformed:
        return
    for slot in CHAT.slots(request):
        slot.put(slot.text)
    CHAT.opaque(request)
    CHAT.tools(request)
    CHAT.restrict_tools(request, ())
    CHAT.limit_output(request, 5)
    CHAT.count_usage(request)
    CHAT.modalities(request)
    CHAT.answers_json(request)


def test_tools_are_restricted() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("a", "b")]
    request = chat_request(tools=tools, tool_choice="auto", parallel_tool_calls=True)
    CHAT.restrict_tools(request, {"a"})
    assert CHAT.tools(request) == ["a"]
    CHAT.restrict_tools(request, ())
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & request.keys()


def test_a_forced_tool_that_is_not_allowed_is_refused() -> None:
    tools = [{"type": "function", "function": {"name": "a"}}]
    choice = {"type": "function", "function": {"name": "a"}}
    with pytest.raises(Denied):
        CHAT.restrict_tools(chat_request(tools=tools, tool_choice=choice), {"b"})


@pytest.mark.parametrize(
    ("given_limits", "most", "written"),
    [
        ({}, 10, {"max_completion_tokens": 10}),
        ({"max_tokens": 50}, 10, {"max_tokens": 10}),
        ({"max_completion_tokens": 5}, 10, {"max_completion_tokens": 5}),
        ({"max_tokens": 50, "max_completion_tokens": 5}, 10,
         {"max_tokens": 10, "max_completion_tokens": 5}),
    ],
)  # fmt: skip
def test_output_is_limited(given_limits: Any, most: int, written: Any) -> None:
    request = chat_request(**given_limits)
    CHAT.limit_output(request, most)
    names = ("max_tokens", "max_completion_tokens")
    assert {name: request[name] for name in names if name in request} == written


def test_usage_is_asked_for_once_and_hidden_from_who_did_not() -> None:
    request = chat_request(stream=True)
    assert CHAT.count_usage(request)
    assert request["stream_options"] == {"include_usage": True}
    assert not CHAT.count_usage(request)
    assert not CHAT.count_usage(chat_request())


ANSWERS = st.builds(
    lambda texts, calls, unknown: {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "x_vendor": unknown,
        "choices": [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": text,
                    "refusal": None,
                    "x_more": unknown,
                    **({"tool_calls": copy.deepcopy(calls)} if calls else {}),
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
            for index, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    },
    st.lists(st.text(max_size=9) | st.none(), min_size=1, max_size=3),
    st.lists(
        st.builds(
            lambda name, value: {
                "id": name,
                "type": "function",
                "function": {"name": name, "arguments": json.dumps({"a": value})},
            },
            st.text("abc", min_size=1, max_size=4),
            st.text(max_size=6),
        ),
        max_size=2,
    ),
    st.text(max_size=3),
)


@given(ANSWERS)
def test_a_whole_answer_unfolds_and_folds_to_itself(answer: dict[str, Any]) -> None:
    request = chat_request(stream=True, stream_options={"include_usage": True})
    events = CHAT.unfold(copy.deepcopy(answer), request)
    assert CHAT.fold(events) == answer


def test_usage_of_a_cached_answer_comes_only_when_asked_for() -> None:
    answer = whole("x").data | {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    assert all("usage" not in e.data for e in CHAT.unfold(answer, chat_request(stream=True)))


def piece(index: int, arguments: str, **first: Any) -> dict[str, Any]:
    name = {"name": first.pop("name")} if "name" in first else {}
    return {"index": index, **first, "function": {**name, "arguments": arguments}}


def test_pieces_of_tool_calls_fold() -> None:
    calls = [
        piece(1, "", id="b", type="function", name="g"),
        piece(0, "{", id="a", type="function", name="f"),
        piece(1, "[]"),
        piece(0, "}"),
    ]
    events = [chunk(0, {"tool_calls": [call]}) for call in calls]
    folded = CHAT.fold([*events, chunk(0, {}, "tool_calls")])
    [choice] = folded["choices"]
    told = [(call["id"], call["function"]["arguments"]) for call in choice["message"]["tool_calls"]]
    assert told == [("a", "{}"), ("b", "[]")]
    assert list(CHAT.tool_calls(folded)) == ["f", "g"]


def test_logprobs_fold_and_are_dropped_when_text_is_rewritten() -> None:
    token = {"token": "x", "logprob": -1.0}
    events = [chunk(0, {"content": "x"}) for _ in range(2)]
    for event in events:
        event.data["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    folded = CHAT.fold(events)
    assert folded["choices"][0]["logprobs"]["content"] == [token, token]
    assert CHAT.unspell(events[0])
    assert events[0].data["choices"][0]["logprobs"] is None


def test_every_spelling_of_the_text_is_dropped() -> None:
    names = ("logprobs", "token_ids", "prompt_token_ids", "prompt_logprobs")
    spelled = {name: [1] for name in names}
    event = whole("x")
    event.data |= spelled
    event.data["choices"][0] |= spelled
    assert CHAT.unspell(event)
    for holder in (event.data, event.data["choices"][0]):
        assert [holder[name] for name in names] == [None] * 4
    assert not CHAT.unspell(event)


@pytest.mark.parametrize(
    "said",
    [
        {"content": {"text": "x"}},
        {"content": 1},
        {"tool_calls": {}},
        {"tool_calls": ["x"]},
        {"tool_calls": [{"index": "0"}]},
        {"tool_calls": [{"index": -1}]},
        {"tool_calls": [{"index": 1 << 40}]},
        {"tool_calls": [{"function": "f"}]},
        {"tool_calls": [{"function": {"arguments": {"to": "x"}}}]},
        {"tool_calls": [{"custom": {"input": ["x"]}}]},
        {"function_call": {"arguments": {}}},
        {"function_call": "f"},
        "x",
    ],
)
@pytest.mark.parametrize("member", ["message", "delta"])
def test_an_answer_out_of_shape_is_seen(member: str, said: Any) -> None:
    assert not CHAT.well_formed({"choices": [{"index": 0, member: said}]})


@pytest.mark.parametrize("index", [-1, True, "0", None, 1.0])
def test_a_choice_has_a_number(index: Any) -> None:
    assert not CHAT.well_formed({"choices": [{"index": index, "delta": {}}]})


def test_text_outside_the_streamed_members_ends_with_its_event() -> None:
    event = chunk(0, {"content": "a"}, search_results=[{"title": "b c"}])
    assert [run.text for run in CHAT.runs(event)] == ["a", "b c"]
    [apart] = CHAT.ended(event)
    assert [run.lane.group for run in CHAT.runs(event)] == [0, apart]


def test_a_message_beside_a_delta_is_not_said_again() -> None:
    event = chunk(0, {"content": "b"})
    event.data["choices"][0]["message"] = {"role": "assistant", "content": "ab"}
    folded = CHAT.fold([chunk(0, {"content": "a"}), copy.deepcopy(event), chunk(0, {}, "stop")])
    assert folded["choices"][0]["message"]["content"] == "ab"
    assert [run.text for run in CHAT.runs(event)] == ["b"]
    assert "message" not in event.data["choices"][0]


def test_a_message_in_place_of_a_delta_is_read() -> None:
    event = chunk(0, {})
    choice = event.data["choices"][0]
    del choice["delta"]
    choice["message"] = {"role": "assistant", "content": "ab"}
    assert [str(run.lane) for run in CHAT.runs(event)] == ["0/content"]
    assert CHAT.fold([event])["choices"][0]["message"]["content"] == "ab"


def test_lists_in_pieces_follow_each_other() -> None:
    details = [{"type": "reasoning.text", "index": 0, "text": text} for text in "ab"]
    pieces = [chunk(0, {"reasoning_details": [detail]}) for detail in details]
    assert CHAT.fold(pieces)["choices"][0]["message"]["reasoning_details"] == details


def test_content_in_parts_is_read() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    event = whole(None)
    event.data["choices"][0]["message"]["content"] = [thinking, {"type": "text", "text": "hi"}]
    assert [run.text for run in CHAT.runs(event)] == ["hm", "hi"]


def test_an_untouched_event_leaves_byte_for_byte() -> None:
    raw = b'{"id": "c",  "x": 1.0, "choices": []}'
    assert Event(json.loads(raw), raw=raw).encode() == raw


def test_errors_have_openais_shape() -> None:
    body = CHAT.error(Malformed("no", param="model"), {})
    assert body == {
        "error": {
            "message": "no",
            "type": "invalid_request_error",
            "param": "model",
            "code": "invalid_request",
        }
    }
    told = {"message": "y", "code": 7, "metadata": {"raw": "said"}}
    theirs = UpstreamError(Code.UPSTREAM_ERROR, "x", status=400, body=told)
    assert CHAT.error(theirs, {})["error"] | {"type": None, "param": None} == {
        "message": "y",
        "code": "7",
        "type": None,
        "param": None,
    }


def test_a_running_count_is_not_the_last() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    said = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    running = Event({"choices": [said], "usage": usage})
    ending = Event({"choices": [said | {"finish_reason": "stop"}], "usage": usage})
    alone = Event({"choices": [], "usage": usage})
    counts = [CHAT.usage(event) for event in (running, ending, alone)]
    assert [count.exact for count in counts if count is not None] == [False, True, True]


@pytest.mark.parametrize(("store", "repeatable"), [(True, False), (False, True), (None, True)])
def test_what_the_provider_stores_is_not_given_to_others(store: Any, repeatable: bool) -> None:
    request = CHAT.check(chat_request(store=store, metadata={"case": "12"}))
    assert CHAT.repeatable(request) is repeatable
    assert CHAT.repeatable(CHAT.check(chat_request(metadata={"case": "12"})))
