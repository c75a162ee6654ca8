"""Law 5 for places: whatever text is put wherever in a request, an inspector is shown it. No name
of a member makes text into bytes, an id or an address.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest

from gateway.core.dialect import Dialect
from gateway.core.errors import Malformed
from gateway.dialects.chat import Chat
from gateway.dialects.completions import Completions
from gateway.dialects.embeddings import Embeddings
from gateway.dialects.images import Images
from gateway.dialects.messages import Messages
from gateway.dialects.moderations import Moderations
from gateway.dialects.responses import Responses
from gateway.dialects.speech import Speech

Path: TypeAlias = tuple[str | int, ...]
Json: TypeAlias = dict[str, Any]

CANARY = "ann.lee@example.org"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
BYTES = "QUJD" * 20
CHAT: Json = {
    "model": "m",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": "https://x.test/y.png"}},
                {"type": "input_audio", "input_audio": {"data": BYTES, "format": "wav"}},
                {"type": "file", "file": {"file_id": "f", "filename": "n.pdf"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "audio": {"id": "a"},
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "r"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}},
    "prediction": {"type": "content", "content": "p"},
    "metadata": {"k": "v"},
    "stop": ["x"],
    "user": "u",
}
RESPONSE: Json = {
    "model": "m",
    "instructions": "i",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": "https://x.test/y.png"},
                {"type": "input_file", "file_data": BYTES, "filename": "n.pdf"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": BYTES},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "o"},
        {"type": "image_generation_call", "id": "ig", "result": BYTES},
    ],
    "tools": [
        {"type": "function", "name": "f", "parameters": SCHEMA},
        {"type": "mcp", "server_label": "s", "server_url": "https://x.test"},
    ],
    "prompt": {"id": "p", "variables": {"v": {"type": "input_image", "image_url": "https://x"}}},
    "metadata": {"k": "v"},
    "text": {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}},
    "safety_identifier": "u",
}
MESSAGE: Json = {
    "model": "m",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "s"}],
    "messages": [
        {
            "role": "user",
            "content": [
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": BYTES},
                },
                {"type": "document", "source": {"type": "text", "data": "d"}, "title": "t"},
                {"type": "tool_result", "tool_use_id": "t", "content": "r"},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": BYTES},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            ],
        },
    ],
    "tools": [{"name": "f", "input_schema": SCHEMA}],
    "metadata": {"user_id": "u"},
}
REQUESTS: dict[str, tuple[Dialect, Json]] = {
    "chat": (Chat(), CHAT),
    "responses": (Responses(), RESPONSE),
    "messages": (Messages(), MESSAGE),
    "completions": (Completions(), {"model": "m", "prompt": "p", "user": "u"}),
    "embeddings": (Embeddings(), {"model": "m", "input": ["a"]}),
    "images": (Images(), {"model": "m", "prompt": "p"}),
    "speech": (Speech(), {"model": "m", "input": "i", "voice": "alloy"}),
    "moderations": (
        Moderations(),
        {
            "model": "m",
            "input": [
                {"type": "text", "text": "t"},
                {"type": "image_url", "image_url": {"url": "https://x.test/y.png"}},
            ],
        },
    ),
}
UNTOLD = {("model",): "a policy decides about it", ("tools", 1, "authorization"): "a credential"}
"""Places that no inspector is shown, and why."""
NAMES = (
    *("url", "image_url", "file_url", "file_id", "data", "file_data", "result", "signature"),
    *("encrypted_content", "type", "id", "format", "domain_secrets", "arguments", "zzz"),
)
WORDED: tuple[Any, ...] = (
    CANARY,
    f"data:text/plain,{CANARY}",
    [CANARY],
    {CANARY: 1},
    {"x": CANARY},
    {"type": "base64", "data": CANARY},
    {"format": "wav", "data": CANARY},
    {"url": f"data:image/png;base64,{CANARY}", "detail": "low"},
)


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    yield path, value
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def put(request: Json, path: Path, value: Any) -> Json:
    """A copy of `request` with `value` at `path`."""
    changed = copy.deepcopy(request)
    holder: Any = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return changed


def variants(request: Json) -> Iterator[tuple[Path, Json]]:
    """The request with the canary at each place, and in a new member of each object."""
    for path, value in places(request):
        names = [name for name in NAMES if name not in value] if isinstance(value, dict) else []
        for there in [path, *((*path, name) for name in names)]:
            if there and there not in UNTOLD:
                for worded in WORDED:
                    yield there, put(request, there, worded)


@pytest.mark.parametrize("name", REQUESTS)
def test_text_is_seen_wherever_it_is_put(name: str) -> None:
    dialect, request = REQUESTS[name]
    tried, unseen = 0, []
    for path, changed in variants(request):
        try:
            checked = dialect.check(copy.deepcopy(changed))
        except Malformed:
            continue
        tried += 1
        if not any(CANARY in slot.text for slot in dialect.slots(checked)):
            unseen.append((path, json.dumps(changed)))
    assert tried > 50
    assert [path for path, _ in unseen] == []


@pytest.mark.parametrize("name", REQUESTS)
def test_bytes_and_words_of_the_api_are_no_text(name: str) -> None:
    dialect, request = REQUESTS[name]
    checked = dialect.check(copy.deepcopy(request))
    assert not any(BYTES in slot.text for slot in dialect.slots(checked))


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("member", ["models", "fallbacks", "route"])
def test_no_request_names_a_model_that_nobody_decided_about(name: str, member: str) -> None:
    dialect, request = REQUESTS[name]
    with pytest.raises(Malformed) as refused:
        dialect.check({**copy.deepcopy(request), member: ["another"]})
    assert refused.value.param == member
    assert dialect.check({**copy.deepcopy(request), member: None})
