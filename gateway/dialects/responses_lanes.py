"""The lanes of a response: which text of an item is which, and where it stands.

A *family* is what OpenAI calls the events of one kind of text: `output_text`, `refusal`,
`function_call_arguments` … Each has a `response.<family>.delta` and a `response.<family>.done`.
Families that are not known here are read all the same.
Source: OpenAI's API reference, "Responses", "Streaming events".
"""

from __future__ import annotations

import re
from typing import Any

from gateway.core.answer import Lane
from gateway.dialects.sealed import is_base64, is_data_url

OUTPUT_TEXT, REFUSAL = "output_text", "refusal"
REASONING, SUMMARY = "reasoning_text", "reasoning_summary_text"
COMMAND, SHELL_OUTPUT = "shell_call_command", "shell_call_output_content"

PART_INDEX = {
    OUTPUT_TEXT: "content_index",
    REFUSAL: "content_index",
    REASONING: "content_index",
    SUMMARY: "summary_index",
    COMMAND: "command_index",
    SHELL_OUTPUT: "command_index",
}
"""The member that says which part of an item the text is."""

MEMBERS = {
    "function_call": ("arguments", "function_call_arguments"),
    "mcp_call": ("arguments", "mcp_call_arguments"),
    "custom_tool_call": ("input", "custom_tool_call_input"),
    "code_interpreter_call": ("code", "code_interpreter_call_code"),
}
"""By an item's type: the member that is streamed, and its family."""

CALLS = frozenset({"function_call", "custom_tool_call"})
"""Items that ask the caller to do something: none is delivered by half."""

_FAMILIES = (*PART_INDEX, *(family for _, family in MEMBERS.values()))
_JSON = frozenset({"function_call_arguments", "mcp_call_arguments", "mcp_call.arguments"})
_KINDS = 16
_LOOSE, _UNKNOWN = _KINDS - 1, _KINDS - 2
PLAIN = frozenset({"arguments", "attributes", "env", "variables", "metadata"})
"""Members that hold whatever somebody wrote: nothing in them is a name or an id."""
MOST = 1 << 16
"""One more than the highest index of an item or a part."""

_INDEX_NAMES = ("content_index", "summary_index", "command_index")
_STRUCTURE = frozenset(
    {"type", "id", "object", "status", "role", "name", "namespace", "server_label", "phase"}
    | {"execution", "fingerprint", "model"}
)
_SEALED = frozenset({"encrypted_content", "partial_image_b64"})
_URLS = frozenset({"url", "image_url", "file_url"})
_NAME = re.compile(r"[A-Za-z_][\w-]{0,63}", re.ASCII)
_TOKEN = re.compile(r"(?=.*[A-Za-z])[\w.:/-]{1,256}", re.ASCII)
_PADDING = re.compile(r"[A-Za-z0-9+/=_-]{1,64}")
"""What a piece of a stream is padded with, so that its length tells nothing."""


def lane(family: str, output_index: int, part: int = 0, piece: str = "") -> Lane:
    """The lane of a streamed text; its group is its own, but for the `piece`s of one part.

    The text of a message is called `content`, as in every dialect.
    """
    kind = _FAMILIES.index(family) if family in _FAMILIES else _UNKNOWN
    name = "content" if family == OUTPUT_TEXT else family
    return Lane(_group(output_index, kind, part), name + piece, json=family in _JSON and not piece)


def loose(output_index: int, number: int, *, json: bool = False) -> Lane:
    """The lane of a text that is not streamed, the `number`-th of its item; -1 is no item."""
    return Lane(_group(output_index, _LOOSE, 0), f"#{number}", json=json)


def repeated(member: str, number: int, *, json: bool = False) -> Lane:
    """The lane of a text of the request that the response repeats in `member`."""
    return Lane(_group(-1, _LOOSE, 0), f"{member}#{number}", json=json, repeats=True)


def family_of(name: str) -> tuple[str, str]:
    """The family of a lane's name, and which piece of a part it is, where it has pieces."""
    family, _, piece = name.partition("/")
    return OUTPUT_TEXT if family == "content" else family, piece


def step(name: str | int, position: int) -> str:
    """One step of a piece's path: a plain name or an index, else where the name stands, since
    a lane's name is no place for anybody's text."""
    return str(name) if isinstance(name, int) or _NAME.fullmatch(name) else f"#{position}"


def said_at(path: str, text: str) -> Any:
    """The `delta` that says `text` at a path: the text itself where that is empty."""
    said: Any = text
    for name in reversed(path.split("/") if path else ()):
        said = [*[None] * int(name), said] if name.isdigit() else {name: said}
    return said


def place(group: int) -> tuple[int, int]:
    """The index of the item and of the part that a group belongs to."""
    return group // (_KINDS * MOST), group % MOST


def part_of(family: str, event: dict[str, Any]) -> int:
    """Which part of its item an event of `family` speaks of."""
    names = (PART_INDEX[family],) if family in PART_INDEX else _INDEX_NAMES
    return next((event[name] for name in names if event.get(name) is not None), 0)


def unspoken(holder: Any, key: Any, value: str, *, plain: bool) -> bool:
    """Whether a string is no text that anybody wrote: a name, an id, an image's bytes.

    Where it is `plain`, nothing is taken for a name or an id.
    """
    if not value or key == "logprobs":  # dropped wherever text is looked at
        return True
    if key in _SEALED or (key == "result" and holder.get("type") == "image_generation_call"):
        return is_base64(value)
    if key == "obfuscation":
        return _PADDING.fullmatch(value) is not None
    if key in _URLS and is_data_url(value):
        return True
    named = isinstance(key, str) and (key in _STRUCTURE or key.endswith("_id"))
    return named and not plain and _TOKEN.fullmatch(value) is not None


def _group(output_index: int, kind: int, part: int) -> int:
    return (output_index * _KINDS + kind) * MOST + part
