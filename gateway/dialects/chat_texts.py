"""Where the texts of a chat request stand, however deep; and what in it cannot be read.

Every string is text, also in members that are not known here, but for names and ids where
they look like one, and for the bytes and addresses of opaque parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.core.findings import Finding
from gateway.core.passages import Slot, slots_of
from gateway.dialects.chat_request import TYPES
from gateway.dialects.fields import is_token

_OPAQUE = {"image_url": "image", "input_audio": "audio", "file": "file"}
"""By the type of a part, and the member that holds it: what cannot be read."""
_PART_BYTES = frozenset({"url", "data", "file_data", "file_id"})
"""Members of an opaque part that are, or name, what cannot be read here."""
_MESSAGE_TEXTS = ("content", "refusal", "reasoning_content", "reasoning", "name")

# Members that are structure where they hold a word: rewriting them would break the request.
_PART_WORDS = frozenset({"type", "format", "detail"})
_MESSAGE_WORDS = frozenset({"tool_call_id"})
_CALL_WORDS = frozenset({"id", "type", "name"})
_SCHEMA_WORDS = frozenset({"type", "name", "$ref", "format", "required"})
_NO_WORDS: frozenset[str] = frozenset()
_DEFINITIONS = frozenset(
    {"tools", "functions", "response_format", "prediction", "tool_choice", "function_call"}
)
"""Members in which `_SCHEMA_WORDS` are structure."""


def slots(request: dict[str, Any]) -> Iterator[Slot]:
    """Every text that the model or its provider will read, messages first."""
    for index, message in enumerate(request["messages"]):
        yield from _message_slots(message, f"/messages/{index}")
    for index, (name, value) in enumerate(request.items()):
        if name in ("messages", "model") or not isinstance(value, (str, list, dict)):
            continue
        where = f"/{name}" if name in TYPES else f"/#{index}"
        words = _SCHEMA_WORDS if name in _DEFINITIONS else _NO_WORDS
        yield from _nested_slots(request, name, where, name, words)


def opaque(request: dict[str, Any]) -> Iterator[Finding]:
    """A finding for each kind of thing in a content part that cannot be read here."""
    for index, message in enumerate(request["messages"]):
        content = message.get("content")
        for place, part in enumerate(content if isinstance(content, list) else ()):
            for label in _labels(part):
                yield Finding("opaque", label, f"/messages/{index}/content/{place}", 0, 0, 1.0)
        if message.get("audio"):
            yield Finding("opaque", "audio", f"/messages/{index}/audio", 0, 0, 1.0)


def _labels(part: dict[str, Any]) -> dict[str, None]:
    """What a part holds that is no text, by its type and by its members, whatever its type."""
    kind = part["type"]
    labels = [] if kind in ("text", "refusal") else [_OPAQUE.get(kind, "part")]
    labels += [label for name, label in _OPAQUE.items() if part.get(name) is not None]
    return dict.fromkeys(labels)


def _message_slots(message: dict[str, Any], where: str) -> Iterator[Slot]:
    role = message["role"]
    for index, (name, value) in enumerate(message.items()):
        inside = f"{where}/#{index}"
        if name in _MESSAGE_TEXTS:
            yield from _content_slots(message, name, f"{where}/{name}", role)
        elif name == "tool_calls":
            for place, call in enumerate(value or ()):
                yield from _call_slots(call, f"{where}/tool_calls/{place}", role)
        elif name == "function_call" and value:
            yield from _form_slots(value, "arguments", f"{where}/function_call", role)
        elif name == "audio":
            yield from _nested_slots(message, name, inside, role, _CALL_WORDS)
        elif name != "role" and not _structural(name, value, _MESSAGE_WORDS):
            yield from _nested_slots(message, name, inside, role, _NO_WORDS)


def _call_slots(call: dict[str, Any], where: str, role: str) -> Iterator[Slot]:
    forms = {"function": "arguments", "custom": "input"}
    for index, name in enumerate(list(call)):
        if name in forms and isinstance(call[name], dict):
            yield from _form_slots(call[name], forms[name], f"{where}/{name}", role)
        elif not _structural(name, call[name], _CALL_WORDS):
            yield from _nested_slots(call, name, f"{where}/#{index}", role, _NO_WORDS)


def _form_slots(form: dict[str, Any], text: str, where: str, role: str) -> Iterator[Slot]:
    """The text of a call, and whatever stands beside it."""
    for index, name in enumerate(list(form)):
        if name == text and form[name]:
            slot = Slot(form, name, f"{where}/{name}", role)
            yield from slots_of(slot, json=name == "arguments")
        elif not _structural(name, form[name], _CALL_WORDS):
            yield from _nested_slots(form, name, f"{where}/#{index}", role, _NO_WORDS)


def _content_slots(holder: dict[str, Any], key: str, where: str, role: str) -> Iterator[Slot]:
    content = holder.get(key)
    if isinstance(content, str):
        yield Slot(holder, key, where, role)
    for index, part in enumerate(content if isinstance(content, list) else ()):
        yield from _part_slots(part, f"{where}/{index}", role)


def _part_slots(part: dict[str, Any], where: str, role: str) -> Iterator[Slot]:
    """The texts of a content part; of an opaque one those that go beside its bytes."""
    for place, name in enumerate(part):
        value = part[name]
        if name in ("text", "refusal") and isinstance(value, str):
            yield Slot(part, name, f"{where}/{name}", role)
        elif name in _OPAQUE and isinstance(value, dict):
            for number, key in enumerate(value):
                if not _is_opaque(key, value[key]):
                    inside = f"{where}/{name}/#{number}"
                    yield from _nested_slots(value, key, inside, role, _PART_WORDS)
        elif name in _OPAQUE and isinstance(value, str):
            continue  # an address, of which `opaque` tells
        elif not _structural(name, value, _PART_WORDS):
            yield from _nested_slots(part, name, f"{where}/#{place}", role, _PART_WORDS)


def _is_opaque(key: str, value: Any) -> bool:
    bytes_of = key in _PART_BYTES and isinstance(value, str)
    return bytes_of or _structural(key, value, _PART_WORDS)


def _structural(name: str, value: Any, words: frozenset[str]) -> bool:
    """Whether a member is structure by its name and by its look: a word, or a list of words."""
    listed = value if isinstance(value, list) else [value]
    return name in words and all(isinstance(item, str) and is_token(item) for item in listed)


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
            if not _structural(name, item, words):
                yield from _texts(value, name, words)
