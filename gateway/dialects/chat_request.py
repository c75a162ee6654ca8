"""A chat request: what makes it one."""

from __future__ import annotations

import re
from typing import Any

from gateway.core.errors import Malformed
from gateway.dialects.fields import one_model

MOST_MESSAGES = 2_048
MOST_CHOICES = 128
LONGEST_MODEL = 256

_ROLE = re.compile(r"[a-z_]{1,32}")

TYPES: dict[str, tuple[type, ...]] = {
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
    one_model(body)
    for name, value in body.items():
        if name in TYPES:
            _typed(value, TYPES[name], name)
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
    for index, tool in enumerate(body.get("tools") or ()):
        _check_tool(tool, f"tools[{index}]")
    for index, function in enumerate(body.get("functions") or ()):
        _check_function(function, f"functions[{index}]")
    for name in ("modalities", "stop"):
        if isinstance(body.get(name), list):
            for index, item in enumerate(body[name]):
                _typed(item, (str,), f"{name}[{index}]", needed=True)
    return body


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
    """A tool is of one form, which its type names: none can pass for another."""
    if not isinstance(tool, dict):
        raise Malformed(f"'{where}' must be an object.", param=where)
    _typed(tool.get("type"), (str,), f"{where}.type")
    kind = tool.get("type")
    kind = "function" if kind is None else kind
    for form in ("function", "custom"):
        _typed(tool.get(form), (dict,), f"{where}.{form}", needed=form == kind)
        if form == kind:
            _typed(tool[form].get("name"), (str,), f"{where}.{form}.name")
        elif tool.get(form) is not None:
            _misplaced(f"{where}.{form}")


def _check_function(function: object, where: str) -> None:
    if not isinstance(function, dict):
        raise Malformed(f"'{where}' must be an object.", param=where)
    _typed(function.get("name"), (str,), f"{where}.name")
    for form in ("function", "custom"):
        if function.get(form) is not None:
            _misplaced(f"{where}.{form}")


def _misplaced(where: str) -> None:
    raise Malformed(f"'{where}' does not belong in a tool of another form.", param=where)


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
