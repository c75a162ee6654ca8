"""The tools that a request for a response offers: their names, and taking them away.

A function or custom tool goes by its name, whatever namespace it stands in; an MCP server by
`mcp:` and its label, so that no server can pass for a function; a hosted tool by its type.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from gateway.core.errors import Malformed

_NAMED = frozenset({"function", "custom"})
_ITEMS = frozenset({"additional_tools", "tool_search_output"})
"""Input items that offer tools too."""


def names(request: dict[str, Any]) -> list[str]:
    """The names of all tools offered."""
    return [name for _, listed in _lists(request) for tool in listed for name in _names(tool)]


def restrict(request: dict[str, Any], allowed: Collection[str]) -> None:
    """Take out the tools that are not `allowed`, and what would choose one of them.

    Raises `Malformed` when the caller insists on a tool that was taken out.
    """
    for holder, listed in _lists(request):
        holder["tools"] = [tool for tool in listed if _kept(tool, allowed)]
    if "tools" in request and not request["tools"]:
        del request["tools"]
    choice = request.get("tool_choice")
    if isinstance(choice, dict):
        _restrict_choice(request, choice, allowed)
    if not names(request):
        if request.get("tool_choice") == "required":
            raise Malformed("The policy allows none of the tools.", param="tool_choice")
        request.pop("tool_choice", None)
        request.pop("parallel_tool_calls", None)


def _lists(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Every list of tools, with the object whose `tools` it is."""
    if isinstance(request.get("tools"), list):
        yield request, request["tools"]
    items = request.get("input")
    for item in items if isinstance(items, list) else ():
        if item.get("type") in _ITEMS and isinstance(item.get("tools"), list):
            yield item, item["tools"]


def _names(tool: dict[str, Any]) -> Iterator[str]:
    if tool.get("type") == "namespace":
        for inner in tool.get("tools") or ():
            yield from _names(inner)
    else:
        yield _name(tool)


def _name(tool: dict[str, Any]) -> str:
    kind = str(tool.get("type"))
    if kind in _NAMED:
        return str(tool.get("name") or kind)
    return f"mcp:{tool.get('server_label')}" if kind == "mcp" else kind


def _kept(tool: dict[str, Any], allowed: Collection[str]) -> bool:
    """Whether anything of a tool remains; a namespace keeps what is allowed in it."""
    if tool.get("type") != "namespace":
        return _name(tool) in allowed
    tool["tools"] = [inner for inner in tool.get("tools") or () if _kept(inner, allowed)]
    return bool(tool["tools"])


def _restrict_choice(
    request: dict[str, Any], choice: dict[str, Any], allowed: Collection[str]
) -> None:
    if choice.get("type") != "allowed_tools":
        if _name(choice) not in allowed:
            raise Malformed(f"The policy does not allow {_name(choice)!r}.", param="tool_choice")
        return
    listed = choice.get("tools")
    tools = [tool for tool in listed if isinstance(tool, dict)] if isinstance(listed, list) else []
    choice["tools"] = [tool for tool in tools if _name(tool) in allowed]
    if not choice["tools"]:
        if choice.get("mode") == "required":
            raise Malformed("The policy allows none of the tools.", param="tool_choice")
        request["tool_choice"] = "none"
