"""A chat request: what makes it one, and every place in it where text stands."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from gateway.core.errors import Malformed
from gateway.core.findings import Finding
from gateway.core.passages import Slot, slots_of

MOST_MESSAGES = 2_048
MOST_CHOICES = 128
LONGEST_MODEL = 256

_OPAQUE = {"image_url": "image", "input_audio": "audio", "file": "file"}
_PART_BYTES = frozenset({"url", "data", "file_data", "file_id"})
"""Members of an opaque part that are, or name, what cannot be read here."""
_PART_WORDS = frozenset({"type", "format", "detail"})
"""Members of a content part that are one word of the API's own."""
_MESSAGE_TEXTS = ("content", "refusal", "reasoning_content", "reasoning", "name")
_ROLE = re.compile(r"[a-z_]{1,32}")
_MESSAGE_STRUCTURE = frozenset({"role", "tool_call_id", "function_call", "audio"})
_DEFINITIONS = frozenset(
    {"tools", "functions", "response_format", "prediction", "tool_choice", "function_call"}
)
"""Members in which `_SCHEMA_WORDS` are structure."""
_SCHEMA_WORDS = frozenset({"type", "name", "$ref", "format", "pattern", "required", "strict"})
"""Members of a tool or schema whose strings are structure: rewriting them would break it."""

_TYPES: dict[str, tuple[type, ...]] = {
    "stream": (bool,),
    "n": (int,),
    "max_tokens": (int,),
    "max_completion_tokens": (int,),
    "tools": (list,),
    "functions": (list,),
    "modalities": (list,),
    "stream_options": (dict,),
    "response_format": (dict,),
    "metadata": (dict,),
    "prediction": (dict,),
    "tool_choice": (str, dict),
    "user": (str,),
    "safety_identifier": (str,),
    "prompt_cache_key": (str,),
    "stop": (str, list),
}

_MESSAGE_TYPES: dict[str, tuple[type, ...]] = {
    "content": (str, list),
    "refusal": (str,),
    "reasoning_content": (str,),
    "reasoning": (str,),
    "name": (str,),
    "tool_calls": (list,),
    "function_call": (dict,),
}


def check(body: object) -> dict[str, Any]:
    """`body`, when it is a chat request. Raises `Malformed`, naming the field.

    Checks what governance reads; everything else is for the provider to judge.
    """
    if not isinstance(body, dict):
        raise Malformed("The body must be a JSON object.")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Malformed("'model' must be a non-empty string.", param="model")
    if len(model) > LONGEST_MODEL:
        raise Malformed(f"'model' may have {LONGEST_MODEL} characters.", param="model")
    for name, value in body.items():
        if name in _TYPES:
            _typed(value, _TYPES[name], name)
    _between(body.get("n"), 1, MOST_CHOICES, "n")
    _between(body.get("max_tokens"), 1, 2**31, "max_tokens")
    _between(body.get("max_completion_tokens"), 1, 2**31, "max_completion_tokens")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Malformed("'messages' must be a non-empty array.", param="messages")
    if len(messages) > MOST_MESSAGES:
        raise Malformed(f"'messages' may hold at most {MOST_MESSAGES}.", param="messages")
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]")
    for name in ("tools", "functions"):
        for index, tool in enumerate(body.get(name) or ()):
            _check_tool(tool, f"{name}[{index}]")
    for name in ("modalities", "stop"):
        if isinstance(body.get(name), list):
            for index, item in enumerate(body[name]):
                _typed(item, (str,), f"{name}[{index}]", needed=True)
    return body


def slots(request: dict[str, Any]) -> Iterator[Slot]:
    """Every text that the model or its provider will read, messages first.

    Also the texts of members that are not known here: who reads them is not known either.
    """
    for index, message in enumerate(request["messages"]):
        yield from _message_slots(message, f"/messages/{index}")
    for index, (name, value) in enumerate(request.items()):
        if name in ("messages", "model") or not isinstance(value, (str, list, dict)):
            continue
        where = f"/{name}" if name in _TYPES else f"/#{index}"
        words = _SCHEMA_WORDS if name in _DEFINITIONS else frozenset[str]()
        yield from _nested_slots(request, name, where, name, words)


def opaque(request: dict[str, Any]) -> Iterator[Finding]:
    """A finding for each content part whose meaning cannot be read here."""
    for index, message in enumerate(request["messages"]):
        content = message.get("content")
        for place, part in enumerate(content if isinstance(content, list) else ()):
            if part["type"] not in ("text", "refusal"):
                label = _OPAQUE.get(part["type"], "part")
                yield Finding("opaque", label, f"/messages/{index}/content/{place}", 0, 0, 1.0)
        if message.get("audio"):
            yield Finding("opaque", "audio", f"/messages/{index}/audio", 0, 0, 1.0)


def all_tools(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The tools offered, in today's form and the deprecated one (`functions`)."""
    return [*(request.get("tools") or ()), *(request.get("functions") or ())]


def tool_name(tool: Any) -> str:
    """The name of a tool, or of the tool that a choice names; its type where it has none."""
    if not isinstance(tool, dict):
        return str(tool)
    forms = [tool[form] for form in ("function", "custom") if isinstance(tool.get(form), dict)]
    inside = forms[0] if forms else tool
    return str(inside.get("name") or tool.get("type"))


def restrict_tools(request: dict[str, Any], allowed: Collection[str]) -> None:
    """Take out the tools that are not `allowed`, and choices that would force one.

    Raises `Malformed` when the caller insists on a tool that was taken out.
    """
    for name in ("tools", "functions"):
        if request.get(name):
            request[name] = [tool for tool in request[name] if tool_name(tool) in allowed]
            if not request[name]:
                del request[name]
    for name in ("tool_choice", "function_call"):
        choice = request.get(name)
        if isinstance(choice, dict):
            if tool_name(choice) not in allowed and choice.get("type") != "allowed_tools":
                raise Malformed(f"The policy does not allow {tool_name(choice)!r}.", param=name)
            _restrict_choice(choice, allowed)
        if choice is not None and not all_tools(request):
            del request[name]
    if not all_tools(request):
        request.pop("parallel_tool_calls", None)


def _restrict_choice(choice: dict[str, Any], allowed: Collection[str]) -> None:
    named = choice.get("allowed_tools")
    if isinstance(named, dict) and isinstance(named.get("tools"), list):
        named["tools"] = [tool for tool in named["tools"] if tool_name(tool) in allowed]


def _check_message(message: object, where: str) -> None:
    if not isinstance(message, dict):
        raise Malformed(f"'{where}' must be an object.", param=where)
    _typed(message.get("role"), (str,), f"{where}.role", needed=True)
    if not _ROLE.fullmatch(message["role"]):
        raise Malformed(f"'{where}.role' must be a word.", param=f"{where}.role")
    for name, value in message.items():
        if name in _MESSAGE_TYPES:
            _typed(value, _MESSAGE_TYPES[name], f"{where}.{name}")
    _check_parts(message.get("content"), f"{where}.content")
    for index, call in enumerate(message.get("tool_calls") or ()):
        place = f"{where}.tool_calls[{index}]"
        _typed(call, (dict,), place, needed=True)
        for form, text in (("function", "arguments"), ("custom", "input")):
            _typed(call.get(form), (dict,), f"{place}.{form}")
            _typed((call.get(form) or {}).get(text), (str,), f"{place}.{form}.{text}")
    arguments = (message.get("function_call") or {}).get("arguments")
    _typed(arguments, (str,), f"{where}.function_call.arguments")


def _check_parts(content: object, where: str) -> None:
    for index, part in enumerate(content if isinstance(content, list) else ()):
        place = f"{where}[{index}]"
        _typed(part, (dict,), place, needed=True)
        _typed(part.get("type"), (str,), f"{place}.type", needed=True)
        for name in ("text", "refusal"):
            _typed(part.get(name), (str,), f"{place}.{name}", needed=part["type"] == name)


def _check_tool(tool: object, where: str) -> None:
    if not isinstance(tool, dict):
        raise Malformed(f"'{where}' must be an object.", param=where)
    for form in ("function", "custom"):
        _typed(tool.get(form), (dict,), f"{where}.{form}")


def _typed(value: object, types: tuple[type, ...], where: str, *, needed: bool = False) -> None:
    if value is None and not needed:
        return
    wrong = not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
    if wrong:
        names = " or ".join(_JSON_NAMES[kind] for kind in types)
        raise Malformed(f"'{where}' must be {names}.", param=where)


_JSON_NAMES = {bool: "a boolean", int: "an integer", str: "a string"} | {
    list: "an array",
    dict: "an object",
}


def _between(value: int | None, least: int, most: int, where: str) -> None:
    if value is not None and not least <= value <= most:
        raise Malformed(f"'{where}' must be between {least} and {most}.", param=where)


def _message_slots(message: dict[str, Any], where: str) -> Iterator[Slot]:
    role = message["role"]
    for index, (name, value) in enumerate(message.items()):
        if name in _MESSAGE_TEXTS:
            yield from _content_slots(message, name, f"{where}/{name}", role)
        elif name == "tool_calls":
            for place, call in enumerate(value or ()):
                yield from _call_slots(call, f"{where}/tool_calls/{place}", role)
        elif name == "function_call" and (value or {}).get("arguments"):
            slot = Slot(value, "arguments", f"{where}/function_call/arguments", role)
            yield from slots_of(slot, json=True)
        elif name not in _MESSAGE_STRUCTURE:
            yield from _nested_slots(message, name, f"{where}/#{index}", role, frozenset())


def _call_slots(call: dict[str, Any], where: str, role: str) -> Iterator[Slot]:
    if (call.get("function") or {}).get("arguments"):
        slot = Slot(call["function"], "arguments", f"{where}/function/arguments", role)
        yield from slots_of(slot, json=True)
    if (call.get("custom") or {}).get("input"):
        yield Slot(call["custom"], "input", f"{where}/custom/input", role)


def _content_slots(holder: dict[str, Any], key: str, where: str, role: str) -> Iterator[Slot]:
    content = holder.get(key)
    if isinstance(content, str):
        yield Slot(holder, key, where, role)
    for index, part in enumerate(content if isinstance(content, list) else ()):
        yield from _part_slots(part, f"{where}/{index}", role)


def _part_slots(part: dict[str, Any], where: str, role: str) -> Iterator[Slot]:
    """The texts of a content part; of an opaque one those that go beside its bytes."""
    for place, name in enumerate(part):
        if name in ("text", "refusal") and isinstance(part[name], str):
            yield Slot(part, name, f"{where}/{name}", role)
        elif name in _OPAQUE:
            inside = part[name] if isinstance(part[name], dict) else {}
            for key in [key for key in inside if key not in _PART_BYTES]:
                yield from _nested_slots(inside, key, f"{where}/{name}/#{key!r}", role, _PART_WORDS)
        elif name != "type":
            yield from _nested_slots(part, name, f"{where}/#{place}", role, _PART_WORDS)


def _nested_slots(
    holder: Any, key: Any, where: str, role: str, words: frozenset[str]
) -> Iterator[Slot]:
    """The strings at `holder[key]`, however deep, but for those that `words` say are structure.

    Their places are numbered, not named: names of members are the caller's text.
    """
    for index, (inner, name) in enumerate(_texts(holder, key, words)):
        yield Slot(inner, name, f"{where}#{index}", role)


def _texts(holder: Any, key: Any, words: frozenset[str]) -> Iterator[tuple[Any, Any]]:
    value = holder[key]
    if isinstance(value, str):
        yield holder, key
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from _texts(value, index, words)
    elif isinstance(value, dict):
        for name, item in value.items():
            # a property may have the name of a schema word; then it holds a schema itself
            if name not in words or isinstance(item, dict):
                yield from _texts(value, name, words)
