"""Where the texts of a chat request stand, however deep; and what in it cannot be read.

Every string is text, also in members that are not known here, and so is every name that the
API did not give; but for the bytes of opaque parts. Names and ids that look like
one are looked at and stay as they are; ids by which a result finds its call are text, which is
masked alike in both places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gateway.core.findings import Finding
from gateway.core.names import named
from gateway.core.passages import Slot, slots_of
from gateway.dialects.chat_request import TYPES
from gateway.dialects.places import FREE, KNOWN, Grammar, is_number, nested, once
from gateway.dialects.schemas import schema
from gateway.dialects.sealed import is_bytes
from gateway.dialects.vocabulary import VOCABULARY

_OPAQUE = {"image_url": "image", "input_audio": "audio", "file": "file"}
"""By the type of a part, and the member that holds it: what cannot be read."""
_PART_BYTES = frozenset({"url", "data", "file_data"})
"""Members of an opaque part that hold what cannot be read here."""
_MESSAGE_TEXTS = ("content", "refusal", "reasoning_content", "reasoning", "name")

_KNOWN = VOCABULARY | TYPES.keys()
_PART = Grammar(VOCABULARY, words=frozenset({"type", "format", "detail", "file_id"}))
_BYTES = _PART._replace(sealed=lambda held, key: key in _PART_BYTES and is_bytes(held[key]))
_CALL = Grammar(VOCABULARY, words=frozenset({"type", "name"}))
_AUDIO = Grammar(VOCABULARY, words=frozenset({"id"}))
_DEFINITION = Grammar(
    VOCABULARY,
    words=frozenset({"type", "name"}),
    apart={"parameters": schema, "schema": schema},
)
_GRAMMARS = {
    name: _DEFINITION
    for name in ("tools", "functions", "response_format", "prediction", "tool_choice")
} | {"function_call": _DEFINITION, "metadata": FREE}
"""By member of a request; any other that is known is the API's own but for its strings."""


def slots(request: dict[str, Any]) -> Iterator[Slot]:
    """Every text that the model or its provider will read, messages first."""
    return once(named(request, "", "user", _slots(request), _KNOWN))


def _slots(request: dict[str, Any]) -> Iterator[Slot]:
    for index, message in enumerate(request["messages"]):
        yield from _message_slots(message, f"/messages/{index}")
    for index, name in enumerate(request):
        if name in ("messages", "model"):
            continue
        if name not in _KNOWN:
            yield from nested(request, name, f"/#{index}", "user")
        elif not is_number(request, name):
            yield from nested(request, name, f"/{name}", name, _GRAMMARS.get(name, KNOWN))


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


def _message_slots(message: dict[str, Any], where: str) -> Iterable[Slot]:
    said = _said_slots(message, where, message["role"])
    return named(message, where, message["role"], said, _KNOWN)


def _said_slots(message: dict[str, Any], where: str, role: str) -> Iterator[Slot]:
    for index, (name, value) in enumerate(message.items()):
        inside = f"{where}/{name}" if name in _KNOWN else f"{where}/#{index}"
        if name in _MESSAGE_TEXTS:
            yield from _content_slots(message, name, inside, role)
        elif name == "tool_calls":
            for place, call in enumerate(value or ()):
                yield from _call_slots(call, f"{inside}/{place}", role)
        elif name == "function_call" and value:
            yield from _form_slots(value, "arguments", inside, role)
        elif name == "audio":
            yield from nested(message, name, inside, role, _AUDIO)
        elif name != "role":
            yield from nested(message, name, inside, role, KNOWN if name in _KNOWN else FREE)


def _call_slots(call: dict[str, Any], where: str, role: str) -> Iterable[Slot]:
    forms = {"function": "arguments", "custom": "input"}

    def each() -> Iterator[Slot]:
        for index, name in enumerate(list(call)):
            inside = f"{where}/{name}" if name in VOCABULARY else f"{where}/#{index}"
            if name in forms and isinstance(call[name], dict):
                yield from _form_slots(call[name], forms[name], inside, role)
            else:
                yield from _beside(call, name, inside, role)

    return named(call, where, role, each(), VOCABULARY)


def _form_slots(form: dict[str, Any], text: str, where: str, role: str) -> Iterable[Slot]:
    """The text of a call, and whatever stands beside it."""

    def each() -> Iterator[Slot]:
        for index, name in enumerate(list(form)):
            inside = f"{where}/{name}" if name in VOCABULARY else f"{where}/#{index}"
            if name == text and form[name]:
                yield from slots_of(Slot(form, name, inside, role), json=name == "arguments")
            else:
                yield from _beside(form, name, inside, role)

    return named(form, where, role, each(), VOCABULARY)


def _beside(holder: dict[str, Any], name: str, where: str, role: str) -> list[Slot]:
    """What stands in a call beside its text: its names and id, and members not known here."""
    word = name in _CALL.words
    return nested(holder, name, where, role, KNOWN if name in VOCABULARY else FREE, word=word)


def _content_slots(holder: dict[str, Any], key: str, where: str, role: str) -> Iterator[Slot]:
    content = holder.get(key)
    if isinstance(content, str):
        yield Slot(holder, key, where, role)
    for index, part in enumerate(content if isinstance(content, list) else ()):
        inside = f"{where}/{index}"
        yield from named(part, inside, role, _part_slots(part, inside, role), VOCABULARY)


def _part_slots(part: dict[str, Any], where: str, role: str) -> Iterator[Slot]:
    """The texts of a content part; of an opaque one those that go beside its bytes."""
    for place, (name, value) in enumerate(part.items()):
        inside = f"{where}/{name}" if name in VOCABULARY else f"{where}/#{place}"
        if name in _OPAQUE and is_bytes(value):
            continue  # `opaque` tells of them
        if name in _OPAQUE and isinstance(value, dict):
            yield from nested(part, name, inside, role, _BYTES)
        elif name not in VOCABULARY:
            yield from nested(part, name, inside, role)
        else:
            yield from nested(part, name, inside, role, _PART, word=name in _PART.words)
