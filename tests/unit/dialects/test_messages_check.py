"""What is a request of messages: malformed ones name the field, the others can be read."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Malformed
from gateway.dialects.messages import Messages
from tests.unit.dialects.test_messages_request import request_of

MESSAGES = Messages()


MALFORMED: dict[str, tuple[Any, str | None]] = {
    "an array": ([], None),
    "no model": ({"max_tokens": 1, "messages": []}, "model"),
    "a long model": (request_of() | {"model": "m" * 257}, "model"),
    "no max_tokens": ({"model": "m", "messages": [{"role": "user", "content": "x"}]}, "max_tokens"),
    "max_tokens negative": (request_of(max_tokens=-1), "max_tokens"),
    "max_tokens true": (request_of(max_tokens=True), "max_tokens"),
    "no messages": ({"model": "m", "max_tokens": 1}, "messages"),
    "messages empty": (request_of() | {"messages": []}, "messages"),
    "message a string": (request_of() | {"messages": ["x"]}, "messages[0]"),
    "a role that is none": (request_of("x", role="ann@example"), "messages[0].role"),
    "no content": (request_of(None), "messages[0].content"),
    "content a number": (request_of(1), "messages[0].content"),
    "block a string": (request_of(["x"]), "messages[0].content[0]"),
    "block without type": (request_of([{"text": "x"}]), "messages[0].content[0].type"),
    "a type that is none": (request_of([{"type": "Ann B"}]), "messages[0].content[0].type"),
    "text without text": (request_of([{"type": "text"}]), "messages[0].content[0].text"),
    "thinking without thinking": (
        request_of([{"type": "thinking"}]), "messages[0].content[0].thinking",
    ),
    "a tool in a message": (
        request_of([{"type": "tool_addition", "tool": {"type": "tool_definition"}}]),
        "messages[0].content[0]",
    ),
    "system a number": (request_of(system=1), "system"),
    "system block a string": (request_of(system=["x"]), "system[0]"),
    "stream a string": (request_of(stream="true"), "stream"),
    "tools an object": (request_of(tools={}), "tools"),
    "tool a string": (request_of(tools=["x"]), "tools[0]"),
    "tool name a number": (request_of(tools=[{"name": 1}]), "tools[0].name"),
    "tool with a model": (request_of(tools=[{"name": "a", "model": "n"}]), "tools[0].model"),
    "tool_choice a string": (request_of(tool_choice="auto"), "tool_choice"),
    "other models": (request_of(fallbacks=[{"model": "n"}]), "fallbacks"),
    "metadata a list": (request_of(metadata=[]), "metadata"),
    "stop sequences a string": (request_of(stop_sequences="x"), "stop_sequences"),
    "stop sequence a number": (request_of(stop_sequences=[1]), "stop_sequences[0]"),
    "thinking a string": (request_of(thinking="on"), "thinking"),
    "thinking budget a string": (
        request_of(thinking={"budget_tokens": "1"}), "thinking.budget_tokens",
    ),
    "format a string": (request_of(output_config={"format": "json"}), "output_config.format"),
    "mcp server a string": (request_of(mcp_servers=["x"]), "mcp_servers[0]"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_requests_name_the_field(case: str) -> None:
    body, param = MALFORMED[case]
    with pytest.raises(Malformed) as refused:
        MESSAGES.check(body)
    assert refused.value.param == param


NAMES = [
    *("model", "role", "content", "type", "text", "thinking", "input", "name", "source", "data"),
    *("signature", "tools", "budget_tokens", "format", "schema", "tool", "id"),
]
WORDS = st.sampled_from(["text", "tool_use", "document", "image", "tool_definition", "base64"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=25,
)
BLOCKS = st.fixed_dictionaries(
    {"type": WORDS}, optional={name: ANY for name in NAMES if name not in ("type", "model")}
)
REQUESTS = st.fixed_dictionaries(
    {
        "model": st.just("m"),
        "max_tokens": st.just(5_000),
        "messages": st.lists(
            st.fixed_dictionaries(
                {"role": st.just("user"), "content": st.lists(BLOCKS, max_size=2) | ANY}
            ),
            min_size=1,
            max_size=2,
        ),
    },
    optional={
        name: ANY
        for name in ("system", "tools", "tool_choice", "thinking", "output_config", "container",
                     "output_format", "metadata", "mcp_servers", "thread", "x_unknown")
    },
)  # fmt: skip


@given(ANY | REQUESTS)
def test_any_json_is_checked_or_refused(body: Any) -> None:
    """What passes the check can be read by every part of the lens, and stays as it is."""
    try:
        request = MESSAGES.check(body)
    except Malformed:
        return
    before = copy.deepcopy(request)
    slots = MESSAGES.slots(request)
    for slot in slots:
        slot.put(slot.text)
    assert len({slot.where for slot in slots}) == len(slots)
    MESSAGES.opaque(request)
    MESSAGES.tools(request)
    MESSAGES.modalities(request)
    MESSAGES.answers_json(request)
    MESSAGES.repeatable(request)
    assert request == before
    try:
        MESSAGES.limit_output(request, 5)
        MESSAGES.restrict_tools(request, ())
    except Malformed:
        return
    assert MESSAGES.output_limit(request) == 5


def test_what_claude_code_says_of_its_user_is_accepted() -> None:
    """C38: a blob, not an identity."""
    blob = json.dumps({"device_id": "ab" * 32, "account_uuid": "", "session_id": "c" * 36})
    for user_id in (blob, f"user_{'0f' * 32}_account__session_{'9' * 8}-1", None):
        request = request_of(metadata={"user_id": user_id})
        assert MESSAGES.check(copy.deepcopy(request)) == request
