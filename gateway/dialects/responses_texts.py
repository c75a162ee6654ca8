"""Where the texts of a request for a response stand, however deep; and what cannot be read.

Every string is text, also in members that are not known here, and so is every name that the
API did not give; but for three kinds:

- **names and ids**, where they look like one: they are looked at and stay as they are, since
  rewriting them would break the request;
- **credentials** (`authorization` and `headers` of an MCP server, `domain_secrets` of a
  container) of a tool that is offered: they are handed over as they came, and no inspector
  sees them;
- **what is no text**: images, audio, files, encrypted reasoning, where they look like bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from gateway.core.names import named
from gateway.core.passages import Number, Slot, slots_of
from gateway.dialects.schemas import schema
from gateway.dialects.sealed import is_bytes
from gateway.dialects.vocabulary import VOCABULARY, is_token


class Unread(NamedTuple):
    """Something that cannot be read here, and where it stands."""

    label: str
    where: str


_PARTS = {
    "input_image": "image",
    "computer_screenshot": "image",
    "input_file": "file",
}
"""By an object's type: what it holds that cannot be read."""

_BYTES = {
    "file_data": "file",
    "encrypted_content": "reasoning",
}
"""Members that are never text."""

_BY_ID = {
    "image_generation_call": ("image", ("result",)),
    "reasoning": ("reasoning", ("encrypted_content", "content")),
}
"""By an item's type: what its provider adds to it by its id, and the members that would hold it."""

_URLS = frozenset({"url", "image_url", "file_url"})
_CREDENTIALS = {
    "mcp": re.compile(r"(?:/input/\d+)?(?:/tools/\d+)+"),
    "allowlist": re.compile(
        r"(?:/input/\d+)?(?:/tools/\d+)+/(?:container|environment)/network_policy"
    ),
}
"""By an object's type: where it may hold credentials."""
_SECRETS = {"mcp": ("authorization", "headers"), "allowlist": ("domain_secrets",)}
"""By an object's type: the members that are credentials."""
_OFFERING = frozenset({"additional_tools", "tool_search_output", "namespace"})
"""Types whose `tools` are offered to the model; below others, it is a word like any."""
_NAMES = frozenset(
    {"type", "id", "status", "role", "name", "namespace", "server_label", "detail", "phase"}
    | {"execution", "fingerprint", "effort", "verbosity", "truncation", "service_tier", "$ref"}
)
PLAIN = frozenset({"variables", "arguments", "attributes", "env"})
"""Members that hold whatever somebody wrote: nothing in them is a name or an id."""
_LISTED = frozenset(
    {"required", "include", "vector_store_ids", "file_ids", "allowed_callers", "allowed_tools"}
    | {"tool_names"}
)
"""Lists of names and ids."""
_SCHEMAS = frozenset({"parameters", "output_schema", "input_schema", "schema"})
_TOLD = frozenset(
    {"content", "text", "refusal", "arguments", "input", "output", "summary", "code", "tools"}
    | {"description", "parameters", "schema", "format", "variables", "queries", "results", "action"}
    | {"operation", "diff", "commands", "stdout", "stderr", "filename", "server_url", "logs"}
    | {"container", "environment", "network_policy"}
)
"""Members that a place names; others are numbered, since their names are the caller's text."""


def texts(
    holder: Any, key: Any, where: str, role: str, *, plain: bool = False
) -> Iterator[Slot | Unread]:
    """The texts at `holder[key]`, as slots, and what cannot be read there; in order.

    Where it is `plain`, nothing is taken for a name or an id of the API's.
    """
    value = holder[key]
    plain = plain or key in PLAIN
    if isinstance(value, str):
        yield from _string(holder, key, where, role, plain)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if key in _LISTED and not plain and isinstance(item, str):
                if item not in VOCABULARY:
                    yield Slot(value, index, f"{where}/{index}", role, fixed=is_token(item))
            else:
                yield from texts(value, index, f"{where}/{index}", role, plain=plain)
    elif isinstance(value, dict):
        if key in _SCHEMAS and not plain:
            yield from schema(holder, key, where, role)
        else:
            known = frozenset[str]() if plain else VOCABULARY
            yield from named(value, where, role, _object(value, where, role, plain), known)
    elif Number.is_long(value):
        yield Number(holder, key, where, role)


def _object(held: dict[str, Any], where: str, role: str, plain: bool) -> Iterator[Slot | Unread]:
    kind = str(held.get("type"))
    if kind in _PARTS:
        yield Unread(_PARTS[kind], where)
    if kind in _BY_ID and not plain and held.get("id"):
        label, members = _BY_ID[kind]
        if not any(held.get(member) for member in members):
            yield Unread(label, where)
    entrusted = kind in _CREDENTIALS and _CREDENTIALS[kind].fullmatch(where) is not None
    for position, name in enumerate(list(held)):
        if not (entrusted and name in _SECRETS[kind]):
            told = name in _TOLD and (name != "tools" or kind in _OFFERING)
            inside = f"{where}/{name}" if told else f"{where}/#{position}"
            yield from texts(held, name, inside, role, plain=plain)


def _string(holder: Any, key: Any, where: str, role: str, plain: bool) -> Iterator[Slot | Unread]:
    value = holder[key]
    label = _bytes(holder, key, value)
    if label is not None:
        if str(holder.get("type")) not in _PARTS:  # else the part was told of already
            yield Unread(label, where)
        if is_bytes(value):
            return
    is_name = not plain and (key in _NAMES or str(key).endswith("_id"))
    if is_name and value in VOCABULARY:
        return
    fixed = is_name and is_token(value)
    yield from slots_of(Slot(holder, key, where, role, fixed=fixed), json=key == "arguments")


def _bytes(holder: Any, key: Any, value: str) -> str | None:
    """What kind of thing that is no text belongs at `holder[key]`; None for text."""
    if key in _URLS and value.startswith("data:"):
        return "file" if key == "file_url" else "image"
    if key in _BYTES:
        return _BYTES[key]
    if not isinstance(holder, dict):
        return None
    kind = holder.get("type")
    if key == "result" and kind == "image_generation_call":
        return "image"
    if key == "data" and kind == "base64":
        return "file"
    if key == "data" and "format" in holder:
        return "audio"
    return None
