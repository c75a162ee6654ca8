"""The tools that a request or an answer says were called, wherever in it that stands.

One reading for every API, since what one of them calls a call none of the others calls
something else: a `function` or `custom` with a name (chat), a block whose type ends with
`tool_use` (messages), an item whose type ends with `_call` (responses).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_FORMS = ("function", "custom", "function_call")
_WRITTEN = frozenset({"arguments", "input", "parameters", "input_schema", "schema"})
"""Members that hold what a tool is given or takes: names in them are no tools' names."""
_APPROVAL = "mcp_approval_request"
_OFFERED = {"computer_call": "computer_use_preview", "web_search_call": "web_search_preview"}
"""Tools that are offered under a name which their calls do not show."""


def called(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """The names of the tools, each with the place of its call.

    Pieces of one call in a stream have the same place, so that a name that comes in pieces can
    be put together. A tool that goes by several names is there under each.
    """
    if isinstance(value, list):
        for at, item in enumerate(value):
            index = item.get("index", at) if isinstance(item, dict) else at
            yield from called(item, f"{place}/{index}")
    elif isinstance(value, dict):
        for name in _names(value):
            yield place, name
        for key, inner in value.items():
            items = key == "input" and isinstance(inner, list)  # of a request
            if items or (key not in _WRITTEN and isinstance(inner, (dict, list))):
                yield from called(inner, f"{place}/{key}")


def _names(holder: dict[str, Any]) -> Iterator[str]:
    """The names by which `holder` says that a tool is called, if it does."""
    for form in _FORMS:
        inside = holder.get(form)
        if isinstance(inside, dict) and isinstance(inside.get("name"), str):
            yield inside["name"]
    kind = holder.get("type")
    if holder.get("role") == "function" and isinstance(holder.get("name"), str):
        yield holder["name"]
    if not isinstance(kind, str):
        return
    if kind.endswith(("tool_use", "_call")) or kind == _APPROVAL:
        yield from _item_names(holder, kind)


def _item_names(holder: dict[str, Any], kind: str) -> Iterator[str]:
    name = holder.get("name")
    if isinstance(name, str):
        yield name
    else:
        yield from (kind, kind.removesuffix("_call"), _OFFERED.get(kind, kind))
    for member in ("server_label", "server_name"):
        server = holder.get(member)
        if isinstance(server, str):
            yield server
            yield f"mcp:{server}"
