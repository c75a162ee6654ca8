"""What makes a body a request of the Messages API, as far as governance reads it.

Source: Anthropic's API reference, "Create a Message" and "Count tokens in a Message".
"""

from __future__ import annotations

import re
from typing import Any

from gateway.core.errors import Malformed
from gateway.dialects.fields import one_model

LONGEST_MODEL = 256

_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TYPES: dict[str, tuple[type, ...]] = {
    "stream": (bool,),
    "max_tokens": (int,),
    "system": (str, list),
    "tools": (list,),
    "tool_choice": (dict,),
    "metadata": (dict,),
    "stop_sequences": (list,),
    "thinking": (dict,),
    "output_config": (dict,),
    "output_format": (dict,),
    "mcp_servers": (list,),
    "container": (str, dict),
    "thread": (dict,),
}
_BLOCK_TEXTS = {"text": "text", "thinking": "thinking"}
"""The text that a block of this type must have."""
_JSON_NAMES = {bool: "a boolean", int: "an integer", str: "a string"} | {
    list: "an array",
    dict: "an object",
}


def check(body: object, *, limited: bool) -> dict[str, Any]:
    """`body`, when it is a request; `limited` when it must have `max_tokens`.

    Checks what governance reads; everything else is for the provider to judge. Also refuses
    what would go round governance: other models than the one that was decided about, and tools
    that are defined inside messages. Raises `Malformed`, naming the field.
    """
    if not isinstance(body, dict):
        raise Malformed("The body must be a JSON object.")
    _check_model(body)
    for name, value in body.items():
        if name in _TYPES:
            _typed(value, _TYPES[name], name)
    if limited:
        _typed(body.get("max_tokens"), (int,), "max_tokens", needed=True)
    _between(body.get("max_tokens"), 0, 2**31, "max_tokens")
    _check_system(body.get("system"))
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Malformed("'messages' must be a non-empty array.", param="messages")
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]")
    for name in ("tools", "mcp_servers"):
        for index, tool in enumerate(body.get(name) or ()):
            _check_tool(tool, f"{name}[{index}]")
    for index, text in enumerate(body.get("stop_sequences") or ()):
        _typed(text, (str,), f"stop_sequences[{index}]", needed=True)
    _check_thinking(body.get("thinking") or {})
    _check_format(body)
    return body


def _check_model(body: dict[str, Any]) -> None:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Malformed("'model' must be a non-empty string.", param="model")
    if len(model) > LONGEST_MODEL:
        raise Malformed(f"'model' may have {LONGEST_MODEL} characters.", param="model")
    one_model(body)


def _check_system(system: Any) -> None:
    for index, block in enumerate(system if isinstance(system, list) else ()):
        _check_block(block, f"system[{index}]")


def _check_message(message: object, where: str) -> None:
    if not isinstance(message, dict):
        raise Malformed(f"'{where}' must be an object.", param=where)
    _word(message.get("role"), f"{where}.role")
    content = message.get("content")
    _typed(content, (str, list), f"{where}.content", needed=True)
    for index, block in enumerate(content if isinstance(content, list) else ()):
        _check_block(block, f"{where}.content[{index}]")


def _check_block(block: object, where: str) -> None:
    if not isinstance(block, dict):
        raise Malformed(f"'{where}' must be an object.", param=where)
    _word(block.get("type"), f"{where}.type")
    if name := _BLOCK_TEXTS.get(block["type"]):
        _typed(block.get(name), (str,), f"{where}.{name}", needed=True)
    if _defines_tool(block):
        raise Malformed(f"'{where}' defines a tool; define it in 'tools'.", param=where)


def _defines_tool(block: Any) -> bool:
    """Whether a tool is defined in a block, deep inside too; a call's `input` is only data."""
    match block:
        case dict():
            if block.get("type") == "tool_definition":
                return True
            return any(_defines_tool(item) for name, item in block.items() if name != "input")
        case list():
            return any(_defines_tool(item) for item in block)
        case _:
            return False


def _check_tool(tool: object, where: str) -> None:
    if not isinstance(tool, dict):
        raise Malformed(f"'{where}' must be an object.", param=where)
    for name in ("type", "name", "mcp_server_name"):
        _typed(tool.get(name), (str,), f"{where}.{name}")
    if tool.get("model") is not None:
        raise Malformed(
            f"'{where}.model' names a model that the policy was not asked about.",
            param=f"{where}.model",
        )


def _check_thinking(thinking: dict[str, Any]) -> None:
    _typed(thinking.get("budget_tokens"), (int,), "thinking.budget_tokens")


def _check_format(body: dict[str, Any]) -> None:
    wanted = (body.get("output_config") or {}).get("format")
    _typed(wanted, (dict,), "output_config.format")


def _word(value: object, where: str) -> None:
    _typed(value, (str,), where, needed=True)
    if not _WORD.fullmatch(str(value)):
        raise Malformed(f"'{where}' must be a word.", param=where)


def _typed(value: object, types: tuple[type, ...], where: str, *, needed: bool = False) -> None:
    if value is None and not needed:
        return
    wrong = not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
    if wrong:
        names = " or ".join(_JSON_NAMES[kind] for kind in types)
        raise Malformed(f"'{where}' must be {names}.", param=where)


def _between(value: int | None, least: int, most: int, where: str) -> None:
    if value is not None and not least <= value <= most:
        raise Malformed(f"'{where}' must be between {least} and {most}.", param=where)
