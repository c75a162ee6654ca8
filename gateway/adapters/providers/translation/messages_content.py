"""The turns of a Messages request as a chat conversation.

Source: Anthropic's API reference ("Create a Message"), OpenAI's ("Create chat completion").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from gateway.adapters.providers.translation.carried import (
    flag,
    obj,
    objects,
    only,
    refused,
    text,
)
from gateway.core.errors import Malformed

_CACHE = "cache_control"
"""A member of any block: where a cached prefix ends. It changes no answer."""
_THOUGHTS = ("thinking", "redacted_thinking")
"""Blocks that only the model that thought them can read again."""
_FAILED = "Error: "
"""What is put before the result of a tool that failed: a chat has no member for it."""


def system(content: object) -> list[dict[str, Any]]:
    """The system prompt as a message of its own, if there is one."""
    said = _shortest(_texts(content, "system"))
    return [{"role": "system", "content": said}] if said else []


def messages(turns: object) -> list[dict[str, Any]]:
    """Every turn as messages: tool results first, then what the user says besides.

    A last turn by the assistant asks to be continued in place, which a chat cannot: refused.
    """
    listed = objects(turns, "messages")
    said: list[dict[str, Any]] = []
    for index, turn in enumerate(listed):
        where = f"messages[{index}]"
        only(turn, ("role", "content"), where)
        said += _turn(turn, where)
    if not said:
        raise Malformed("'messages' must hold a message that is not empty.", param="messages")
    if listed[-1].get("role") == "assistant":
        raise refused(f"messages[{len(listed) - 1}].role")
    return said


def _turn(turn: dict[str, Any], where: str) -> Iterator[dict[str, Any]]:
    role, content, where = turn.get("role"), turn.get("content"), f"{where}.content"
    if role == "user":
        blocks = _listed(content, where)
        for block, place in blocks:
            if block.get("type") == "tool_result":
                yield _result(block, place)
        rest = [pair for pair in blocks if pair[0].get("type") != "tool_result"]
        if said := _shortest([_part(block, place) for block, place in rest]):
            yield {"role": "user", "content": said}
    elif role == "assistant":
        yield from _assistant(_listed(content, where))
    elif role == "system":
        if said := _shortest(_texts(content, where)):
            yield {"role": "system", "content": said}
    else:
        raise refused(f"{where.removesuffix('content')}role")


def _listed(content: object, where: str) -> list[tuple[dict[str, Any], str]]:
    """Content as blocks, each with its place."""
    if isinstance(content, str):
        return [({"type": "text", "text": content}, where)]
    blocks = objects(content, where)
    return [(block, f"{where}[{index}]") for index, block in enumerate(blocks)]


def _texts(content: object, where: str) -> list[dict[str, Any]]:
    """The text parts of content that may hold nothing else."""
    if content is None:
        return []
    return [_text(block, place) for block, place in _listed(content, where)]


def _shortest(parts: Sequence[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Parts as content, as short as it can be said; empty text is none."""
    left = [part for part in parts if part.get("text") != ""]
    if not left:
        return ""
    if len(left) == 1 and left[0]["type"] == "text":
        alone: str = left[0]["text"]
        return alone
    return left


def _text(block: dict[str, Any], where: str) -> dict[str, Any]:
    if block.get("type") != "text":
        raise refused(f"{where}.type")
    if block.get("citations") == []:
        block = {name: value for name, value in block.items() if name != "citations"}
    only(block, ("type", "text", _CACHE), where)
    return {"type": "text", "text": text(block, "text", where)}


def _part(block: dict[str, Any], where: str) -> dict[str, Any]:
    match block.get("type"):
        case "image":
            only(block, ("type", "source", _CACHE), where)
            source = obj(block.get("source"), f"{where}.source")
            return {"type": "image_url", "image_url": {"url": _address(source, f"{where}.source")}}
        case "document":
            return _document(block, where)
        case _:
            return _text(block, where)


def _address(source: dict[str, Any], where: str) -> str:
    """Where an image is, or its bytes as a data URL (RFC 2397)."""
    if source.get("type") == "url":
        only(source, ("type", "url"), where)
        return text(source, "url", where)
    if source.get("type") == "base64":
        only(source, ("type", "media_type", "data"), where)
        return f"data:{text(source, 'media_type', where)};base64,{text(source, 'data', where)}"
    raise refused(f"{where}.type")


def _document(block: dict[str, Any], where: str) -> dict[str, Any]:
    """A PDF by its bytes as a file, plain text as text under its title."""
    cited = block.get("citations")
    if isinstance(cited, dict) and not flag(cited, "enabled", f"{where}.citations"):
        block = {name: value for name, value in block.items() if name != "citations"}
    only(block, ("type", "source", "title", _CACHE), where)
    source = obj(block.get("source"), f"{where}.source")
    title = text(block, "title", where) if block.get("title") else ""
    match source.get("type"), source.get("media_type"):
        case "text", _:
            only(source, ("type", "media_type", "data"), f"{where}.source")
            words = text(source, "data", f"{where}.source")
            return {"type": "text", "text": f"{title}\n{words}" if title else words}
        case "base64", "application/pdf":
            data = _address(source, f"{where}.source")
            return {"type": "file", "file": {"filename": title or "file.pdf", "file_data": data}}
        case _:
            raise refused(f"{where}.source.type")


def _result(block: dict[str, Any], where: str) -> dict[str, Any]:
    only(block, ("type", "tool_use_id", "content", "is_error", _CACHE), where)
    said = _shortest(_texts(block.get("content"), f"{where}.content"))
    if flag(block, "is_error", where):
        failed = [{"type": "text", "text": _FAILED}]
        said = f"{_FAILED}{said}" if isinstance(said, str) else failed + said
    return {"role": "tool", "tool_call_id": text(block, "tool_use_id", where), "content": said}


def _assistant(blocks: Sequence[tuple[dict[str, Any], str]]) -> Iterator[dict[str, Any]]:
    """The assistant's message: its text, and its calls after it. Thinking is left out."""
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for block, where in blocks:
        if block.get("type") == "tool_use":
            calls.append(_call(block, where))
        elif block.get("type") not in _THOUGHTS:
            parts.append(_text(block, where))
    said = _shortest(parts)
    if calls:
        yield {"role": "assistant", "content": said or None, "tool_calls": calls}
    elif said:
        yield {"role": "assistant", "content": said}


def _call(block: dict[str, Any], where: str) -> dict[str, Any]:
    if block.get("caller") == {"type": "direct"}:
        block = {name: value for name, value in block.items() if name != "caller"}
    only(block, ("type", "id", "name", "input", _CACHE), where)
    given = obj(block.get("input"), f"{where}.input")
    function = {"name": text(block, "name", where), "arguments": orjson.dumps(given).decode()}
    return {"id": text(block, "id", where), "type": "function", "function": function}
