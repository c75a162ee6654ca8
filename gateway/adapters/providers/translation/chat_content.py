"""A chat conversation as the turns of a Messages request.

Source: OpenAI's API reference ("Create chat completion"), Anthropic's ("Create a Message").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gateway.adapters.providers.translation.carried import obj, objects, only, refused, text
from gateway.core.errors import Malformed
from gateway.core.json_body import parse

_SYSTEM = ("system", "developer")
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,", re.IGNORECASE)
_PDF = "application/pdf"
_HINT = "prompt_cache_breakpoint"
"""A member of any part: where a reusable prefix ends. It changes no answer."""
_DROPPED = ("reasoning_content", "reasoning", "annotations")
"""Members of an assistant's message that no model is given to read again."""


def system(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The texts of system and developer messages, wherever they stand, as blocks."""
    blocks: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        if message["role"] in _SYSTEM:
            where = f"messages[{index}]"
            only(message, ("role", "content"), where)
            blocks += _blocks(message.get("content"), f"{where}.content", text_only=True)
    return blocks


def turns(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The other messages as turns; tool results that follow each other are one turn.

    A message that says nothing is left out, since empty text is an error over there. Raises
    `Malformed` when none is left.
    """
    said: list[dict[str, Any]] = []
    results: list[dict[str, Any]] | None = None
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role = message["role"]
        if role in _SYSTEM:
            continue
        if role == "tool":
            if results is None:
                results = []
                said.append({"role": "user", "content": results})
            results.append(_result(message, where))
            continue
        results = None
        content = _turn(message, role, where)
        if content:
            said.append({"role": role, "content": content})
    if not said:
        raise Malformed("'messages' must hold a message that is not empty.", param="messages")
    return said


def _turn(message: dict[str, Any], role: str, where: str) -> str | list[dict[str, Any]]:
    """The content of a user's or an assistant's turn, as short as it can be said."""
    content = message.get("content")
    if role == "user":
        only(message, ("role", "content"), where)
        if isinstance(content, str):
            return content
        return _blocks(content, f"{where}.content")
    if role != "assistant":
        raise refused(f"{where}.role")
    only(message, ("role", "content", "refusal", "tool_calls", *_DROPPED), where)
    blocks = _blocks(content, f"{where}.content", text_only=True)
    if message.get("refusal"):
        blocks.append(_text(text(message, "refusal", where)))
    for place, call in enumerate(message.get("tool_calls") or ()):
        blocks.append(_call(call, f"{where}.tool_calls[{place}]"))
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        alone: str = blocks[0]["text"]
        return alone
    return blocks


def _text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def _blocks(content: object, where: str, *, text_only: bool = False) -> list[dict[str, Any]]:
    """Content as blocks; empty text is none."""
    if not content:
        return []
    if isinstance(content, str):
        return [_text(content)]
    parts = enumerate(objects(content, where))
    blocks = [_block(part, f"{where}[{place}]", text_only) for place, part in parts]
    return [block for block in blocks if block.get("text") != ""]


def _block(part: dict[str, Any], where: str, text_only: bool) -> dict[str, Any]:
    kind = part.get("type")
    if kind in ("text", "refusal"):
        only(part, ("type", kind, _HINT), where)
        return _text(text(part, kind, where))
    if kind == "image_url" and not text_only:
        only(part, ("type", "image_url", _HINT), where)
        return _image(obj(part.get("image_url"), f"{where}.image_url"), f"{where}.image_url")
    if kind == "file" and not text_only:
        only(part, ("type", "file", _HINT), where)
        return _document(obj(part.get("file"), f"{where}.file"), f"{where}.file")
    raise refused(f"{where}.type")


def _image(image: dict[str, Any], where: str) -> dict[str, Any]:
    """An image by its address or its bytes; how closely to look (`detail`) is dropped."""
    only(image, ("url", "detail"), where)
    url = text(image, "url", where)
    if url.startswith(("https://", "http://")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    media, data = _data(url, f"{where}.url")
    return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}


def _document(file: dict[str, Any], where: str) -> dict[str, Any]:
    """A PDF by its bytes. Other files have no block; one by its id is another account's."""
    only(file, ("file_data", "filename"), where)
    media, data = _data(text(file, "file_data", where), f"{where}.file_data")
    if media != _PDF:
        raise refused(f"{where}.file_data")
    source = {"type": "base64", "media_type": media, "data": data}
    title = {"title": text(file, "filename", where)} if file.get("filename") else {}
    return {"type": "document", "source": source, **title}


def _data(url: str, where: str) -> tuple[str, str]:
    """The media type and the base64 text of a data URL (RFC 2397). Raises `Malformed`."""
    head = _DATA_URL.match(url)
    if head is None:
        raise refused(where)
    return head[1].lower(), url[head.end() :]


def _result(message: dict[str, Any], where: str) -> dict[str, Any]:
    """A tool's answer; the tool's name is dropped, as the id of the call says it."""
    only(message, ("role", "content", "tool_call_id", "name"), where)
    content = message.get("content")
    said = content if isinstance(content, str) else _blocks(content, f"{where}.content")
    called = text(message, "tool_call_id", where)
    return {"type": "tool_result", "tool_use_id": called, "content": said}


def _call(call: dict[str, Any], where: str) -> dict[str, Any]:
    only(call, ("id", "type", "function", "index"), where)
    function = obj(call.get("function"), f"{where}.function")
    only(function, ("name", "arguments"), f"{where}.function")
    return {
        "type": "tool_use",
        "id": text(call, "id", where),
        "name": text(function, "name", f"{where}.function"),
        "input": _arguments(function, f"{where}.function"),
    }


def _arguments(function: dict[str, Any], where: str) -> dict[str, Any]:
    """The object that the arguments of a call spell; none at all are an empty one."""
    spelled = text(function, "arguments", where)
    try:
        value = parse(spelled.encode()) if spelled.strip() else {}
    except Malformed as error:
        raise Malformed(
            f"'{where}.arguments' must be JSON that can be read in one way only.",
            param=f"{where}.arguments",
        ) from error
    return obj(value, f"{where}.arguments")
