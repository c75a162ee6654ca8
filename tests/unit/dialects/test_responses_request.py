"""Requests for a response: what is malformed, and every place where text stands."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Malformed
from gateway.dialects.responses import Responses
from tests.unit.dialects.test_responses_answer import OUTPUT

RESPONSES = Responses()
BYTES = "aGkK" * 20
CANARY = "canary"


def asking(said: Any = "hello", /, **more: Any) -> dict[str, Any]:
    """A request that says `said`: a text, or items."""
    return {"model": "m", "input": said, **more}


def item(kind: str, **more: Any) -> dict[str, Any]:
    return asking([{"type": kind, **more}])


def saying(*parts: dict[str, Any], role: str = "user", **more: Any) -> dict[str, Any]:
    return item("message", role=role, content=list(parts), **more)


def offering(**tool: Any) -> dict[str, Any]:
    return asking(tools=[tool])


def places() -> dict[str, dict[str, Any]]:
    """A request for each place where text stands."""
    schema = {"type": "object", "properties": {"type": {"type": "string", "description": CANARY}}}
    owned = {"type": "object", "properties": {CANARY: {"type": "string"}}, "required": [CANARY]}
    arguments = json.dumps({"to": [CANARY]})
    words = {"type": "input_text", "text": CANARY}
    said_before = {
        f"said before: {name}": asking([copy.deepcopy(said)]) for name, said in OUTPUT.items()
    }
    return {
        **said_before,
        "input": asking(CANARY),
        **{role: saying(words, role=role) for role in ("user", "system", "developer", "assistant")},
        "content": asking([{"role": "user", "content": CANARY}]),
        "an unknown part": saying({"type": "hologram", "words": [CANARY]}),
        "an unknown member of a part": saying({"type": "input_text", "text": "x", "x_a": CANARY}),
        "an unknown member of a message": saying(x_more={"name": [CANARY]}),
        "a file's name": saying({"type": "input_file", "file_id": "f", "filename": CANARY}),
        "an image's address": saying({"type": "input_image", "image_url": f"https://x/ {CANARY}"}),
        "argument names": item("function_call", name="f", arguments=json.dumps({CANARY: 1})),
        "call": item("function_call", call_id="c", name="f", arguments=arguments),
        "output": item("function_call_output", call_id="c", output=CANARY),
        "output parts": item("function_call_output", call_id="c", output=[words]),
        "custom output": item("custom_tool_call_output", call_id="c", output=CANARY),
        "shell output": item("shell_call_output", call_id="c",
                             output=[{"stdout": CANARY, "stderr": ""}]),
        "patch output": item("apply_patch_call_output", call_id="c", output=CANARY),
        "approval": item("mcp_approval_response", approval_request_id="a", reason=CANARY),
        "program": item("program", code=CANARY),
        "program output": item("program_output", result=CANARY),
        "later tools": item("additional_tools", role="developer",
                            tools=[{"type": "function", "name": "f", "description": CANARY}]),
        "an unknown item": item("x_item", note=CANARY),
        "instructions": asking(instructions=CANARY),
        "tool description": offering(type="function", name="f", description=CANARY),
        "tool parameters": offering(type="function", name="f", parameters=schema),
        "tool results": offering(type="function", name="f", output_schema=schema),
        "a default": offering(type="function", name="f", parameters={"default": {"to": [CANARY]}}),
        "a pattern": offering(type="function", name="f", parameters={"pattern": CANARY}),
        "a required name that is none": offering(
            type="function", name="f", parameters={"required": ["to", f"say {CANARY}!"]}
        ),
        "what looks like a tool": asking(
            metadata={"tools": [{"type": "mcp", "headers": CANARY}]}
        ),
        "what looks like an offered tool": item(
            "x_item", tools=[{"type": "mcp", "headers": CANARY}]
        ),
        "what looks like a server in a tool": offering(
            type="function", name="f", x_more={"type": "mcp", "authorization": CANARY}
        ),
        "what looks like a container": asking(
            metadata={"tools": [{"type": "allowlist", "domain_secrets": CANARY}]}
        ),
        "grammar": offering(type="custom", name="f", format={"type": "grammar",
                                                             "definition": CANARY}),
        "namespace": offering(type="namespace", name="n", description=CANARY, tools=[]),
        "in a namespace": offering(type="namespace", name="n", description="x", tools=[
            {"type": "function", "name": "f", "description": CANARY}]),
        "server": offering(type="mcp", server_label="s", server_description=CANARY),
        "server address": offering(type="mcp", server_label="s", server_url=CANARY),
        "where the caller is": offering(type="web_search", user_location={"city": CANARY}),
        "file filter": offering(type="file_search", vector_store_ids=["vs_1"],
                                filters={"type": "eq", "key": "who", "value": CANARY}),
        "a name that is none": offering(type="function", name=f"say {CANARY}!"),
        "response format": asking(text={"format": {"type": "json_schema", "name": "n",
                                                   "schema": schema}}),
        "format description": asking(text={"format": {"type": "json_schema", "name": "n",
                                                      "description": CANARY, "schema": {}}}),
        "variable": asking(prompt={"id": "pmpt_1", "variables": {"name": CANARY}}),
        "variable part": asking(prompt={"id": "pmpt_1", "variables": {"who": words}}),
        "metadata": asking(metadata={"user_id": CANARY}),
        "user id": asking(user=CANARY),
        "safety identifier": asking(safety_identifier=CANARY),
        "cache key": asking(prompt_cache_key=CANARY),
        "a name in metadata": asking(metadata={CANARY: "x"}),
        "a property": offering(type="function", name="f", parameters=owned),
        "a property of a result": offering(type="function", name="f", output_schema=owned),
        "a property of the answer": asking(text={"format": {"type": "json_schema", "name": "n",
                                                            "schema": owned}}),
        "a variable's name": asking(prompt={"id": "pmpt_1", "variables": {CANARY: "x"}}),
        "an attribute's name": item("x_item", results=[{"attributes": {CANARY: 1}}]),
        "a name in arguments that are no text": item("tool_search_call",
                                                     arguments={"x": {CANARY: 1}}),
        "a name in a tool": offering(type="function", name="f", **{CANARY: 1}),
        "a name in a part": saying({"type": "input_text", "text": "x", CANARY: 1}),
        "a name in a message": saying(**{CANARY: 1}),
        "a name in an unknown item": item("x_item", note={CANARY: 1}),
        "a name in a request": asking(**{CANARY: 1}),
        "a name in an unknown member": asking(documents=[{CANARY: {"x": 1}}]),
        "an unknown member": asking(documents=[{"name": CANARY}]),
    }  # fmt: skip


@pytest.mark.parametrize("place", places())
def test_every_text_is_a_slot_and_can_be_rewritten(place: str) -> None:
    request = RESPONSES.check(places()[place])
    slots = [slot for slot in RESPONSES.slots(request) if CANARY in slot.text]
    assert len(slots) == 1
    slots[0].put('a "quoted"\nword')
    assert CANARY not in json.dumps(request)
    assert [slot.text for slot in RESPONSES.slots(request)].count('a "quoted"\nword') == 1


@pytest.mark.parametrize("place", places())
def test_a_place_never_holds_text_and_is_its_own(place: str) -> None:
    where = [slot.where for slot in RESPONSES.slots(RESPONSES.check(places()[place]))]
    assert not [each for each in where if CANARY in each]
    assert len(set(where)) == len(where)


def test_who_says_what() -> None:
    request = asking(
        [
            {"role": "developer", "content": "1"},
            {"type": "function_call", "name": "f", "arguments": '"2"'},
            {"type": "function_call_output", "output": "3"},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "4"}]},
        ],
        instructions="5",
    )
    slots = RESPONSES.slots(RESPONSES.check(request))
    told = {slot.text: slot.role for slot in slots if not slot.fixed}
    assert told == {"1": "developer", "2": "assistant", "3": "tool", "4": "assistant",
                    "5": "system"}  # fmt: skip


def test_numbers_in_arguments_are_text() -> None:
    request = item("function_call", name="f", arguments='{"card": 4111111111111111, "n": 12}')
    [slot] = [slot for slot in RESPONSES.slots(request) if slot.text == "4111111111111111"]
    slot.put("[[CREDIT_CARD_1]]")
    assert json.loads(request["input"][0]["arguments"]) == {"card": "[[CREDIT_CARD_1]]", "n": 12}


def test_names_and_ids_are_looked_at_and_stay() -> None:
    request = asking(
        [
            {"type": "message", "id": "msg_1", "role": "user", "status": "completed",
             "content": [{"type": "input_image", "file_id": "file-1", "detail": "auto"}]},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "send",
             "arguments": "{}"},
        ],
        tools=[
            {"type": "function", "name": "send",
             "parameters": {"type": "object", "required": ["to"]}},
            {"type": "mcp", "server_label": "s", "allowed_tools": ["a", "b"]},
            {"type": "file_search", "vector_store_ids": ["vs_1"]},
        ],
        tool_choice={"type": "function", "name": "send"},
        include=["reasoning.encrypted_content"],
        previous_response_id="resp_1",
    )  # fmt: skip
    slots = RESPONSES.slots(RESPONSES.check(request))
    assert {slot.text for slot in slots if slot.fixed} == {
        *("msg_1", "file-1", "fc_1", "call_1", "send", "s", "a", "b", "vs_1", "resp_1"),
    }  # fmt: skip
    assert [slot.text for slot in slots if not slot.fixed] == ["to"]
    assert len([slot for slot in slots if slot.text == "send"]) == 3, "once for each who says it"


def test_credentials_are_handed_over_unseen() -> None:
    secrets = {"authorization": CANARY, "headers": {"x-key": CANARY}}
    network = {"type": "allowlist", "allowed_domains": ["x.test"],
               "domain_secrets": [{"domain": "x.test", "name": "k", "value": CANARY}]}  # fmt: skip
    request = asking(
        tools=[
            {"type": "mcp", "server_label": "s", **secrets},
            {"type": "code_interpreter", "container": {"type": "auto", "network_policy": network}},
        ]
    )
    assert not [slot for slot in RESPONSES.slots(request) if CANARY in slot.text]
    later = item("additional_tools", tools=[{"type": "namespace", "tools": request["tools"]}])
    assert not [slot for slot in RESPONSES.slots(later) if CANARY in slot.text]
    elsewhere = asking([{"type": "mcp", **secrets}], x_more={"type": "mcp", **secrets})
    assert len([slot for slot in RESPONSES.slots(elsewhere) if CANARY in slot.text]) == 4


def test_what_cannot_be_read_is_opaque() -> None:
    parts = [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk="},
        {"type": "input_image", "image_url": "https://x.test/a.png"},
        {"type": "input_audio", "input_audio": {"data": BYTES, "format": "wav"}},
        {"type": "input_file", "file_data": BYTES, "filename": "a.pdf"},
    ]
    items = [
        {"role": "user", "content": parts},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": BYTES},
        {"type": "image_generation_call", "id": "ig_1", "result": BYTES},
    ]
    request = asking(items, previous_response_id="resp_1", prompt={"id": "pmpt_1"})
    found = RESPONSES.opaque(RESPONSES.check(request))
    assert [finding.label for finding in found] == [
        *("image", "image", "audio", "file", "reasoning", "image"),
        *("stored",) * 2,
    ]
    assert [finding.where for finding in found[:2]] == ["/input/0/content/1", "/input/0/content/2"]
    texts = [slot.text for slot in RESPONSES.slots(request) if not slot.fixed]
    assert texts == ["look", "https://x.test/a.png", "wav", "a.pdf"]


MALFORMED: dict[str, tuple[Any, str | None]] = {
    "an array": ([], None),
    "no model": ({"input": "x"}, "model"),
    "model is a number": ({"model": 1, "input": "x"}, "model"),
    "a long model": ({"model": "m" * 300, "input": "x"}, "model"),
    "input a number": (asking(1), "input"),
    "an item a string": (asking(["x"]), "input[0]"),
    "an item's type a number": (asking([{"type": 1}]), "input[0].type"),
    "a role of another kind": (asking([{"role": "ann@x", "content": "x"}]), "input[0].role"),
    "content a number": (asking([{"role": "user", "content": 1}]), "input[0].content"),
    "a part a string": (asking([{"role": "user", "content": ["x"]}]), "input[0].content[0]"),
    "text missing": (saying({"type": "input_text"}), "input[0].content[0].text"),
    "text a number": (saying({"type": "x", "text": 1}), "input[0].content[0].text"),
    "arguments an object": (item("function_call", arguments={}), "input[0].arguments"),
    "no output": (item("function_call_output"), "input[0].output"),
    "output an object": (item("function_call_output", output={}), "input[0].output"),
    "output part a string": (item("function_call_output", output=["x"]), "input[0].output[0]"),
    "summary a string": (item("reasoning", summary="x"), "input[0].summary"),
    "later tools a string": (item("additional_tools", tools="x"), "input[0].tools"),
    "a later tool a string": (item("additional_tools", tools=["x"]), "input[0].tools[0]"),
    "instructions an object": (asking(instructions={}), "instructions"),
    "stream a string": (asking(stream="true"), "stream"),
    "background a string": (asking(background="no"), "background"),
    "no output tokens": (asking(max_output_tokens=0), "max_output_tokens"),
    "output tokens true": (asking(max_output_tokens=True), "max_output_tokens"),
    "output tokens a float": (asking(max_output_tokens=1.5), "max_output_tokens"),
    "tools an object": (asking(tools={}), "tools"),
    "a tool a string": (asking(tools=["f"]), "tools[0]"),
    "a tool's name a number": (offering(type="function", name=1), "tools[0].name"),
    "a namespace of strings": (offering(type="namespace", tools=["f"]), "tools[0].tools[0]"),
    "text a string": (asking(text="json"), "text"),
    "format a string": (asking(text={"format": "json"}), "text.format"),
    "variables a list": (asking(prompt={"variables": []}), "prompt.variables"),
    "metadata a list": (asking(metadata=[]), "metadata"),
    "a conversation of no kind": (asking(conversation=[1]), "conversation"),
    "a conversation without an id": (asking(conversation={}), "conversation.id"),
    "a conversation by a number": (asking(conversation={"id": 1}), "conversation.id"),
    "a conversation and what came before": (
        asking(conversation="conv_1", previous_response_id="resp_1"),
        "conversation",
    ),
    "an item by no id": (item("item_reference"), "input[0].id"),
    "an item by a number": (item("item_reference", id=1), "input[0].id"),
    "an item by nothing but null": (asking([{"id": None}]), "input[0].id"),
    "a tool's model": (offering(type="image_generation", model="m2"), "tools[0].model"),
    "a model in a namespace": (
        offering(type="namespace", tools=[{"type": "image_generation", "model": "m2"}]),
        "tools[0].tools[0].model",
    ),
    "a later tool's model": (
        item("additional_tools", tools=[{"type": "image_generation", "model": {"id": "m2"}}]),
        "input[0].tools[0].model",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_requests_name_the_field(case: str) -> None:
    body, param = MALFORMED[case]
    with pytest.raises(Malformed) as refused:
        RESPONSES.check(body)
    assert refused.value.param == param


@pytest.mark.parametrize(
    "name", [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"},
             {"type": None, "id": "msg_1", "content": []}],
)  # fmt: skip
def test_an_item_may_be_named(name: dict[str, Any]) -> None:
    request = RESPONSES.check(asking([{"role": "user", "content": "x"}, name], store=False))
    [named] = RESPONSES.references(request)
    assert (named.id, named.param) == ("msg_1", "input[1].id")
    assert named.holder[named.place] is name
    assert not RESPONSES.repeatable(request)
    [opaque] = RESPONSES.opaque(request)
    assert (opaque.label, opaque.where) == ("stored", "/input/1")


@pytest.mark.parametrize("given", ["x", [{"id": "msg_1", "role": "user", "content": "x"}]])
def test_what_is_said_is_not_named(given: Any) -> None:
    assert RESPONSES.references(RESPONSES.check(asking(given))) == []


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ({"type": "reasoning", "id": "rs_1", "summary": []}, "reasoning"),
        ({"type": "reasoning", "id": "rs_1", "content": None}, "reasoning"),
        ({"type": "image_generation_call", "id": "ig_1"}, "image"),
        ({"type": "image_generation_call", "id": "ig_1", "result": "aGk="}, "image"),
        ({"type": "reasoning", "id": "rs_1", "encrypted_content": "xyz"}, "reasoning"),
    ],
)
def test_what_the_provider_adds_by_an_id_cannot_be_read(said: dict[str, Any], label: str) -> None:
    [found] = RESPONSES.opaque(asking([said]))
    assert found.label == label


@pytest.mark.parametrize("content", [[{"type": "reasoning_text", "text": "Well."}]])
def test_reasoning_that_is_said_can_be_read(content: list[Any]) -> None:
    assert RESPONSES.opaque(item("reasoning", id="rs_1", content=content)) == []
    assert RESPONSES.opaque(asking(metadata={"type": "reasoning", "id": "rs_1"})) == []


@pytest.mark.parametrize(
    "more",
    [{"store": True}, {"previous_response_id": "resp_1"}, {"conversation": None},
     {"conversation": "conv_1"}, {"conversation": {"id": "conv_1"}},
     {"background": False}, {"background": None}],
)  # fmt: skip
def test_what_the_provider_keeps_is_let_through(more: dict[str, Any]) -> None:
    request = asking(**more)
    assert RESPONSES.check(request) == asking(**more)


NAMES = [
    *(
        "model",
        "input",
        "role",
        "content",
        "type",
        "text",
        "tools",
        "function_call",
        "id",
        "output",
    ),
    *("arguments", "summary", "metadata", "prompt", "variables", "format", "name", "parameters"),
]
INTEGERS = st.integers(-(2**63), 2**63 - 1)
ANY = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.text(max_size=5) | st.sampled_from(NAMES),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=25,
)
REQUESTS = st.fixed_dictionaries(
    {"model": st.just("m"), "input": st.text(max_size=5) | st.lists(ANY, max_size=2)},
    optional={name: ANY for name in ("tools", "tool_choice", "text", "prompt", "x_unknown")},
)
KINDS = st.sampled_from(["message", "function_call", "additional_tools", "x_item", "reasoning"])
ITEMS = st.builds(
    lambda kind, more: asking([{**more, "type": kind}]),
    KINDS,
    st.dictionaries(st.sampled_from(NAMES), ANY, max_size=5),
)
TOOLS = st.builds(
    lambda kind, more, choice: asking(tools=[{**more, "type": kind}], tool_choice=choice),
    st.sampled_from(["function", "namespace", "mcp", "web_search"]),
    st.dictionaries(st.sampled_from(NAMES), ANY, max_size=4),
    ANY,
)


@given(ANY | REQUESTS | ITEMS | TOOLS)
def test_any_json_is_checked_or_refused(body: Any) -> None:
    """What passes the check can be read by every part of the lens."""
    try:
        request = RESPONSES.check(body)
    except Malformed:
        return
    for slot in RESPONSES.slots(request):
        slot.put(slot.text)
    RESPONSES.opaque(request)
    RESPONSES.tools(request)
    RESPONSES.modalities(request)
    RESPONSES.answers_json(request)
    RESPONSES.repeatable(request)
    RESPONSES.streams(request)
    RESPONSES.limit_output(request, 5)
    assert RESPONSES.output_limit(request) == 5
    try:
        RESPONSES.restrict_tools(request, ())
    except Malformed:
        return
    assert RESPONSES.tools(request) == []


@given(REQUESTS | ITEMS | TOOLS)
def test_what_no_rule_edits_is_sent_as_it_came(body: dict[str, Any]) -> None:
    """Members that nobody knows too; looking at a request changes nothing in it."""
    try:
        request = RESPONSES.check(RESPONSES.parse(json.dumps(body).encode(), "application/json"))
    except Malformed:
        return
    RESPONSES.slots(request)
    RESPONSES.opaque(request)
    assert json.loads(RESPONSES.encode(request)[1]) == body
