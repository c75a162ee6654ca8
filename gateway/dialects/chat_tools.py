"""The tools that a chat request offers: their names, and taking them away.

A function or custom tool goes by its name, any other by its type; what a provider does on its
own when asked by a member of the request goes by that member.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gateway.core.errors import Malformed

_FORMS = ("function", "custom")
_BUILT_IN = ("web_search_options", "plugins", "data_sources")
"""Members that let the provider search, or use what else it has: OpenAI's, OpenRouter's,
Azure's."""


def names(request: dict[str, Any]) -> list[str]:
    """The names of all tools offered, in today's form, the deprecated one, and built in."""
    declared = [_name(tool) for tool in request.get("tools") or ()]
    declared += [_function_name(function) for function in request.get("functions") or ()]
    return declared + [name for name in _BUILT_IN if request.get(name) is not None]


def restrict(request: dict[str, Any], allowed: Collection[str]) -> None:
    """Take out the tools that are not `allowed`, and choices that would force one.

    Raises `Malformed` when the caller insists on a tool that was taken out.
    """
    for name, name_of in (("tools", _name), ("functions", _function_name)):
        if request.get(name):
            request[name] = [tool for tool in request[name] if name_of(tool) in allowed]
            if not request[name]:
                del request[name]
    for name in _BUILT_IN:
        if name not in allowed:
            request.pop(name, None)
    declared = request.get("tools") or request.get("functions")
    for name in ("tool_choice", "function_call"):
        if isinstance(request.get(name), dict):
            _restrict_choice(request[name], name, allowed)
        if not declared:
            request.pop(name, None)
    if not declared:
        request.pop("parallel_tool_calls", None)


def _restrict_choice(choice: dict[str, Any], member: str, allowed: Collection[str]) -> None:
    if choice.get("type") != "allowed_tools":
        name = _name(choice) if member == "tool_choice" else _function_name(choice)
        if name not in allowed:
            raise Malformed(f"The policy does not allow {name!r}.", param=member)
    listed = choice.get("allowed_tools")
    if isinstance(listed, dict) and isinstance(listed.get("tools"), list):
        listed["tools"] = [tool for tool in listed["tools"] if _name(tool) in allowed]


def _name(tool: Any) -> str:
    """The name of a tool, or of the tool that a choice names."""
    if not isinstance(tool, dict):
        return str(tool)
    kind = "function" if tool.get("type") is None else str(tool["type"])
    inside = tool.get(kind) if kind in _FORMS else None
    return _function_name(inside, kind) if isinstance(inside, dict) else kind


def _function_name(function: dict[str, Any], kind: str = "function") -> str:
    return str(function.get("name") or kind)
