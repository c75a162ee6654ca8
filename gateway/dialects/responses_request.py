"""A request for a response: what makes it one, and every place in it where text stands.

Source: OpenAI's API reference, "Create a model response".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.core.dialect import Reference
from gateway.core.errors import Malformed
from gateway.core.findings import Finding
from gateway.core.names import named
from gateway.core.passages import Slot
from gateway.dialects.fields import one_model
from gateway.dialects.places import is_number, once
from gateway.dialects.responses_texts import Unread, texts
from gateway.dialects.vocabulary import VOCABULARY

MOST_ITEMS = 8_192
MOST_TOOLS = 2_048
LONGEST_MODEL = 256

_ROLE = re.compile(r"[a-z_]{1,32}")
_TYPES: dict[str, tuple[type, ...]] = {
    "input": (str, list),
    "instructions": (str,),
    "stream": (bool,),
    "background": (bool,),
    "store": (bool,),
    "max_output_tokens": (int,),
    "previous_response_id": (str,),
    "tools": (list,),
    "tool_choice": (str, dict),
    "text": (dict,),
    "prompt": (dict,),
    "metadata": (dict,),
    "reasoning": (dict,),
    "include": (list,),
    "stream_options": (dict,),
    "user": (str,),
    "safety_identifier": (str,),
    "prompt_cache_key": (str,),
}
_ITEM_TYPES: dict[str, tuple[type, ...]] = {
    "type": (str,),
    "role": (str,),
    "content": (str, list),
    "summary": (list,),
}
_NEEDED = {
    "function_call": ("arguments", (str,)),
    "custom_tool_call": ("input", (str,)),
    "function_call_output": ("output", (str, list)),
    "custom_tool_call_output": ("output", (str, list)),
}
"""By an item's type: the member that holds its text, and what that may be."""

_KNOWN = VOCABULARY | _TYPES.keys()
_STORED = ("previous_response_id", "prompt", "conversation")
"""Members that bring in what the provider keeps."""
_ASKER = ("metadata", "user", "safety_identifier")
"""Members that say who asks, or for whom."""
_CHOICES = frozenset(
    {"input", "tools", "tool_choice", "text", "prompt", "reasoning", "include", "truncation"}
    | {"service_tier", "previous_response_id", "stream_options"}
)
"""Members that hold names and ids. In any other, all strings are text."""
_ASSISTANT = frozenset({"message", "reasoning", "program", "image_generation_call"})
_JSON_NAMES = {bool: "a boolean", int: "an integer", str: "a string"} | {
    list: "an array",
    dict: "an object",
}


def check(body: object) -> dict[str, Any]:
    """`body`, when it is a request for a response. Raises `Malformed`, naming the field.

    Checks what governance reads; everything else is for the provider to judge. Also refuses
    what would go round governance: other models than the one that was decided about.
    """
    if not isinstance(body, dict):
        raise Malformed("The body must be a JSON object.")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Malformed("'model' must be a non-empty string.", param="model")
    if len(model) > LONGEST_MODEL:
        raise Malformed(f"'model' may have {LONGEST_MODEL} characters.", param="model")
    one_model(body)
    if body.get("conversation") is not None:
        _check_conversation(body)
    for name, value in body.items():
        if name in _TYPES:
            _typed(value, _TYPES[name], name)
    limit = body.get("max_output_tokens")
    if limit is not None and not 1 <= limit <= 2**31:
        raise Malformed("'max_output_tokens' must be between 1 and 2147483648.",
                        param="max_output_tokens")  # fmt: skip
    _typed((body.get("text") or {}).get("format"), (dict,), "text.format")
    _typed((body.get("prompt") or {}).get("variables"), (dict,), "prompt.variables")
    if isinstance(body.get("input"), list):
        _check_items(body["input"])
    for index, tool in enumerate(_few(body.get("tools"), MOST_TOOLS, "tools")):
        _check_tool(tool, f"tools[{index}]")
    return body


def slots(request: dict[str, Any]) -> list[Slot]:
    """Every text that the model or its provider will read, in the order of the request.

    Also the texts of members that are not known here: who reads them is not known either.
    """
    found = named(request, "", "user", _found(request), _KNOWN)
    return list(once(slot for slot in found if isinstance(slot, Slot)))


def opaque(request: dict[str, Any]) -> list[Finding]:
    """A finding for each part that cannot be read here, and for each member that brings in
    what is stored."""
    unread = [found for found in _found(request) if isinstance(found, Unread)]
    unread += [Unread("stored", f"/{name}") for name in _STORED if request.get(name)]
    unread += [Unread("stored", f"/input/{named.place}") for named in references(request)]
    return [Finding("opaque", label, where, 0, 0, 1.0) for label, where in unread]


def references(request: dict[str, Any]) -> list[Reference]:
    """The items of the input that are only named, by their ids."""
    items = request.get("input")
    if not isinstance(items, list):
        return []
    return [
        Reference(items, place, item["id"], f"input[{place}].id")
        for place, item in enumerate(items)
        if _refers(item)
    ]


def repeatable(request: dict[str, Any]) -> bool:
    """Whether it neither uses nor leaves anything at the provider, and the response would not
    repeat to another caller who this one is."""
    if request.get("store") is not False or references(request):
        return False
    return not any(request.get(name) for name in (*_STORED, *_ASKER))


def _found(request: dict[str, Any]) -> Iterator[Slot | Unread]:
    for position, name in enumerate(request):
        if name == "model" or is_number(request, name):
            continue
        where = f"/{name}" if name in _TYPES else f"/#{position}"
        if name == "input" and isinstance(request[name], list):
            for index, item in enumerate(request[name]):
                yield from texts(request[name], index, f"/input/{index}", _role(item))
        else:
            role = {"input": "user", "instructions": "system"}.get(name, name)
            yield from texts(request, name, where, role, plain=name not in _CHOICES)


def _refers(item: dict[str, Any]) -> bool:
    """Whether an item only names another."""
    kind = item.get("type")
    return kind == "item_reference" or ("id" in item and not (kind or item.get("content")))


def _role(item: dict[str, Any]) -> str:
    """Who says an item: whom it names, else the model or the tool that it comes from."""
    kind = item.get("type") or "message"
    if item.get("role"):
        return str(item["role"])
    if kind.endswith("_output"):
        return "tool"
    return "assistant" if kind in _ASSISTANT or kind.endswith("_call") else "user"


def _check_items(items: list[Any]) -> None:
    for index, item in enumerate(_few(items, MOST_ITEMS, "input")):
        where = f"input[{index}]"
        _typed(item, (dict,), where, needed=True)
        if _refers(item):
            _typed(item.get("id"), (str,), f"{where}.id", needed=True)
            continue
        for name, types in _ITEM_TYPES.items():
            _typed(item.get(name), types, f"{where}.{name}")
        if item.get("role") is not None and not _ROLE.fullmatch(item["role"]):
            raise Malformed(f"'{where}.role' must be a word.", param=f"{where}.role")
        kind = item.get("type") or "message"
        if kind in _NEEDED:
            name, types = _NEEDED[kind]
            _typed(item.get(name), types, f"{where}.{name}", needed=True)
        for name in ("content", "summary", "output"):
            _check_parts(item.get(name), f"{where}.{name}")
        if kind in ("additional_tools", "tool_search_output"):
            _typed(item.get("tools"), (list,), f"{where}.tools")
            for place, tool in enumerate(item.get("tools") or ()):
                _check_tool(tool, f"{where}.tools[{place}]")


def _check_parts(content: object, where: str) -> None:
    for index, part in enumerate(content if isinstance(content, list) else ()):
        place = f"{where}[{index}]"
        _typed(part, (dict,), place, needed=True)
        _typed(part.get("type"), (str,), f"{place}.type")
        for name in ("text", "refusal"):
            _typed(part.get(name), (str,), f"{place}.{name}")
        if part.get("type") in ("input_text", "output_text"):
            _typed(part.get("text"), (str,), f"{place}.text", needed=True)


def _check_tool(tool: object, where: str) -> None:
    _typed(tool, (dict,), where, needed=True)
    if isinstance(tool, dict):
        for name in ("type", "name", "server_label"):
            _typed(tool.get(name), (str,), f"{where}.{name}")
        if tool.get("model") is not None:
            raise Malformed(
                f"'{where}.model' names a model that the policy was not asked about.",
                param=f"{where}.model",
            )
        if tool.get("type") == "namespace":
            _typed(tool.get("tools"), (list,), f"{where}.tools")
            for index, inner in enumerate(tool.get("tools") or ()):
                _check_tool(inner, f"{where}.tools[{index}]")


def _check_conversation(body: dict[str, Any]) -> None:
    """A conversation is named by its id, alone or in an object, and goes on by itself."""
    named = body["conversation"]
    _typed(named, (str, dict), "conversation")
    if isinstance(named, dict):
        _typed(named.get("id"), (str,), "conversation.id", needed=True)
    if body.get("previous_response_id") is not None:
        raise Malformed(
            "'conversation' and 'previous_response_id' cannot go together.", param="conversation"
        )


def _few(listed: Any, most: int, where: str) -> list[Any]:
    if len(listed or ()) > most:
        raise Malformed(f"'{where}' may hold at most {most}.", param=where)
    return listed or []


def _typed(value: object, types: tuple[type, ...], where: str, *, needed: bool = False) -> None:
    if value is None and not needed:
        return
    wrong = not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
    if wrong:
        names = " or ".join(_JSON_NAMES[kind] for kind in types)
        raise Malformed(f"'{where}' must be {names}.", param=where)
