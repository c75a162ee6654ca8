"""The tools that an answer of the Messages API calls, as its events say it piece by piece.

A call is a block, and ends with it. Source: Anthropic's API reference, "Messages" and
"Streaming Messages" (`tool_use`, `server_tool_use`, `mcp_tool_use`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.core.answer import Event
from gateway.core.calls import Piece, Place


def pieces(event: Event) -> Iterator[Piece]:
    """Of a block that is no `tool_use`, the provider runs what it calls, if anything."""
    match event.data:
        case {"type": "message"}:
            yield from _of_blocks(event.data)
        case {"type": "message_start", "message": dict(message)}:
            yield from _of_blocks(message)
        case {"type": "content_block_start", "index": int(index), "content_block": dict(block)}:
            yield _of_block(index, block, whole=False)
        case {"type": "content_block_delta", "index": int(index), "delta": dict(delta)}:
            if isinstance(delta.get("partial_json"), str):
                yield Piece(Place(index), arguments=delta["partial_json"])


def _of_blocks(message: dict[str, Any]) -> Iterator[Piece]:
    for index, block in enumerate(message.get("content") or ()):
        yield _of_block(index, block, whole=True)


def _of_block(index: int, block: dict[str, Any], *, whole: bool) -> Piece:
    if block["type"] != "tool_use":
        return Piece(Place(index), remote=True)
    name, given = block.get("name"), block.get("input")
    text = orjson.dumps(given).decode() if given else ""
    return Piece(Place(index), name if isinstance(name, str) else "", text, whole=whole)
