"""Where text stands in the JSON of Anthropic's API: every string that is not structure.

A string is structure only where both its name and its look say so: an id or a type that is a
plain word, a signature or encrypted content that is nothing but base64. Anything else is text,
also in members that are not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from gateway.core.answer import Lane, Run
from gateway.core.passages import Slot

BLOCK_WORDS = frozenset({"type", "id", "tool_use_id", "file_id", "media_type", "ttl"})
"""Members of a content block, and of what it holds, that are structure."""
CALL_WORDS = BLOCK_WORDS | {"name", "server_name", "tool_name", "mcp_server_name"}
"""The same in blocks about tools, which are named by structure too."""
SCHEMA_WORDS = frozenset(
    {"type", "name", "$ref", "format", "required", "ttl", "mcp_server_name", "allowed_callers"}
)
"""Members of a tool or schema that are structure: rewriting them would break it."""

_PLAIN = re.compile(r"[0-9]{0,3}[A-Za-z][A-Za-z0-9_./:-]{0,127}")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=\r\n"
_LEAST_SEALED = 40
"""Characters below which base64 is taken for text: sealed content is longer."""


def words_of(block: dict[str, Any]) -> frozenset[str]:
    """The members of `block` that are structure where they hold a word."""
    kind = block.get("type")
    about_tools = isinstance(kind, str) and "tool" in kind
    return CALL_WORDS if about_tools else BLOCK_WORDS


def texts(holder: Any, key: Any, words: frozenset[str]) -> Iterator[tuple[Any, Any]]:
    """The places of the strings at `holder[key]`, however deep, in document order.

    Left out are sealed strings, and words where their name is in `words`.
    """
    value = holder[key]
    if isinstance(value, str):
        yield holder, key
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from texts(value, index, words)
    elif isinstance(value, dict):
        for name in value:
            if not structural(value, name, words):
                yield from texts(value, name, words)


def structural(holder: dict[str, Any], name: str, words: frozenset[str]) -> bool:
    """Whether what stands at `holder[name]` is structure, not text."""
    value = holder[name]
    if name in words:
        listed = value if isinstance(value, list) else [value]
        return all(isinstance(item, str) and _PLAIN.fullmatch(item) for item in listed)
    return isinstance(value, str) and _may_be_sealed(holder, name) and _sealed(value)


def _may_be_sealed(holder: dict[str, Any], name: str) -> bool:
    """`data` is text in a document's plain text source, so its type must say that it is not."""
    if name == "data":
        return holder.get("type") in ("base64", "redacted_thinking")
    return name == "signature" or name.startswith("encrypted_")


def _sealed(value: str) -> bool:
    return len(value) >= _LEAST_SEALED and not value.encode().translate(None, _BASE64)


class JsonSlot(Slot):
    """A place where JSON stands as a value, shown as its text."""

    __slots__ = ()

    @property
    def text(self) -> str:
        return orjson.dumps(self.holder[self.key]).decode()

    def put(self, text: str) -> None:
        self.holder[self.key] = value_of(text)


class JsonRun(Run):
    """JSON that stands as a value in an answer, such as a tool call's `input`, read as text.

    Text that breaks off stands as a string until the rest of it is put. Where the event
    `opens` the call, its arguments are still to come, and their text is empty.
    """

    __slots__ = ("_text",)

    def __init__(self, lane: Lane, holder: Any, key: str, *, opens: bool = False) -> None:
        super().__init__(lane, holder, key, opens=opens)
        self._text = "" if opens else orjson.dumps(holder[key]).decode()

    @property
    def text(self) -> str:
        return self._text

    def put(self, text: str) -> None:
        self._text = text
        self.holder[self.key] = value_of(text) if text else {}


def value_of(text: str) -> Any:
    """The JSON value that `text` is; `text` itself where it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
