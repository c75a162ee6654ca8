"""Where text stands in the JSON of Anthropic's API: every string that is not structure.

A string is structure only where both its name and its look say so: an id or a type that is a
plain word, a signature or encrypted content that is nothing but base64. Anything else is text,
also in members that are not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.dialects.json_values import has_own_names
from gateway.dialects.sealed import is_base64

BLOCK_WORDS = frozenset({"type", "id", "tool_use_id", "file_id", "media_type", "ttl"})
"""Members of a content block, and of what it holds, that are structure."""
CALL_WORDS = BLOCK_WORDS | {"name", "server_name", "tool_name", "mcp_server_name"}
"""The same in blocks about tools, which are named by structure too."""
TOOL_WORDS = frozenset({"type", "name", "ttl", "mcp_server_name", "allowed_callers"})
"""Members of a tool that are structure: rewriting them would break it."""

_PLAIN = re.compile(r"[0-9]{0,3}[A-Za-z][A-Za-z0-9_./:-]{0,127}")


def words_of(block: dict[str, Any]) -> frozenset[str]:
    """The members of `block` that are structure where they hold a word."""
    kind = block.get("type")
    about_tools = isinstance(kind, str) and "tool" in kind
    return CALL_WORDS if about_tools else BLOCK_WORDS


def texts(holder: Any, key: Any, words: frozenset[str]) -> Iterator[tuple[Any, Any]]:
    """The places of the strings at `holder[key]`, however deep, in document order; and of
    objects whose names are somebody's own, which are read as a whole.

    Left out are sealed strings, and words where their name is in `words`.
    """
    value = holder[key]
    if isinstance(value, str) or (isinstance(value, dict) and has_own_names(value)):
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
        return all(isinstance(item, str) and is_plain(item) for item in listed)
    return sealed(holder, name)


def is_plain(text: str) -> bool:
    """Whether `text` is one plain word, as ids and types are."""
    return _PLAIN.fullmatch(text) is not None


def sealed(holder: dict[str, Any], name: str) -> bool:
    """Whether what stands at `holder[name]` is sealed: bytes that nobody but a provider reads."""
    value = holder[name]
    return isinstance(value, str) and _may_be_sealed(holder, name) and is_base64(value)


def _may_be_sealed(holder: dict[str, Any], name: str) -> bool:
    """`data` is text in a document's plain text source, so its type must say that it is not."""
    if name == "data":
        return holder.get("type") in ("base64", "redacted_thinking")
    return name == "signature" or name.startswith("encrypted_")
