"""Where the texts of a request for a response stand, however deep; and what cannot be read.

Every string is text, also in members that are not known here, but for three kinds:

- **names and ids**, where they look like one: rewriting them would break the request;
- **credentials** (`authorization` and `headers` of an MCP server, `domain_secrets` of a
  container) of a tool that is offered: they are handed over as they came, and no inspector
  sees them;
- **what is no text**: images, audio, files, encrypted reasoning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from gateway.core.passages import Slot, slots_of


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

_URLS = frozenset({"url", "image_url", "file_url"})
_CREDENTIALS = {
    "mcp": re.compile(r"(?:/input/\d+)?(?:/tools/\d+)+"),
    "allowlist": re.compile(
        r"(?:/input/\d+)?(?:/tools/\d+)+/(?:container|environment)/network_policy"
    ),
}
"""By an object's type: where it may hold credentials."""
_SECRET = frozenset({"authorization", "headers", "domain_secrets"})
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
_TOKEN = re.compile(r"(?=.*[A-Za-z])[\w.:/#$-]{1,256}", re.ASCII)
_SCHEMAS = frozenset({"parameters", "output_schema", "input_schema", "schema"})
_SCHEMA_WORDS = frozenset({"type", "$ref", "format", "required"})
"""Members of a JSON schema whose names are structure: rewriting them would break it."""
_KNOWN = frozenset(
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

    Where it is `plain`, nothing is taken for a name or an id.
    """
    value = holder[key]
    plain = plain or key in PLAIN
    if isinstance(value, str):
        yield from _string(holder, key, where, role, plain)
    elif isinstance(value, list):
        names = key in _LISTED and not plain
        for index, item in enumerate(value):
            if not (names and isinstance(item, str) and _TOKEN.fullmatch(item)):
                yield from texts(value, index, f"{where}/{index}", role, plain=plain)
    elif isinstance(value, dict):
        if key in _SCHEMAS and not plain:
            yield from _schema(holder, key, where, role)
        else:
            yield from _object(value, where, role, plain)


def _object(held: dict[str, Any], where: str, role: str, plain: bool) -> Iterator[Slot | Unread]:
    kind = str(held.get("type"))
    if kind in _PARTS:
        yield Unread(_PARTS[kind], where)
    entrusted = kind in _CREDENTIALS and _CREDENTIALS[kind].fullmatch(where) is not None
    for position, name in enumerate(list(held)):
        if not (entrusted and name in _SECRET):
            told = name in _KNOWN and (name != "tools" or kind in _OFFERING)
            inside = f"{where}/{name}" if told else f"{where}/#{position}"
            yield from texts(held, name, inside, role, plain=plain)


def _schema(
    holder: Any, key: Any, where: str, role: str, *, word: bool = False
) -> Iterator[Slot | Unread]:
    """As `texts`, in a JSON schema; `word` is what stands below a schema word, alone or in a
    list. A property may have the name of a schema word; then it holds a schema itself."""
    value = holder[key]
    if isinstance(value, str):
        if not (word and _TOKEN.fullmatch(value)):
            yield Slot(holder, key, where, role)
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from _schema(value, index, f"{where}/{index}", role, word=word)
    elif isinstance(value, dict):
        for position, name in enumerate(list(value)):
            named = name in _SCHEMA_WORDS
            yield from _schema(value, name, f"{where}/#{position}", role, word=named)


def _string(holder: Any, key: Any, where: str, role: str, plain: bool) -> Iterator[Slot | Unread]:
    value = holder[key]
    label = _bytes(holder, key, value)
    if label is not None:
        if str(holder.get("type")) not in _PARTS:  # else the part was told of already
            yield Unread(label, where)
        return
    named = not plain and (key in _NAMES or str(key).endswith("_id"))
    if not named or not _TOKEN.fullmatch(value):
        yield from slots_of(Slot(holder, key, where, role), json=key == "arguments")


def _bytes(holder: Any, key: Any, value: str) -> str | None:
    """What kind of thing that is no text stands at `holder[key]`; None for text."""
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
