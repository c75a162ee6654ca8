"""The tools of a chat request: by what name the policy knows each, and taking them away."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.errors import Malformed
from gateway.dialects.chat import Chat
from tests.exchanges import chat_request

CHAT = Chat()
FUNCTION = {"type": "function", "function": {"name": "f"}}
CUSTOM = {"type": "custom", "custom": {"name": "c"}}
HOSTED = {"type": "browser_search", "name": "f"}


def test_a_tool_goes_by_its_type() -> None:
    untyped = {"function": {"name": "g"}}
    request = chat_request(tools=[FUNCTION, CUSTOM, HOSTED, untyped], functions=[{"name": "h"}])
    assert CHAT.tools(CHAT.check(request)) == ["f", "c", "browser_search", "g", "h"]
    CHAT.restrict_tools(request, {"f"})
    assert request["tools"] == [FUNCTION]
    assert "functions" not in request


@pytest.mark.parametrize("name", ["web_search_options", "plugins", "data_sources"])
def test_what_the_provider_does_on_its_own_is_a_tool(name: str) -> None:
    request = chat_request(**{name: {}})
    assert CHAT.tools(request) == [name]
    CHAT.restrict_tools(request, {name})
    assert name in request
    CHAT.restrict_tools(request, {"f"})
    assert name not in request


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": [{**FUNCTION, "custom": {"name": "run"}}]}, "tools[0].custom"),
        ({"tools": [{**CUSTOM, "function": {"name": "f"}}]}, "tools[0].function"),
        ({"tools": [{**HOSTED, "function": {"name": "f"}}]}, "tools[0].function"),
        ({"tools": [{"function": {"name": "f"}, "custom": {}}]}, "tools[0].custom"),
        ({"tools": [{"type": "function", "name": "f"}]}, "tools[0].function"),
        ({"tools": [{"type": "custom"}]}, "tools[0].custom"),
        ({"tools": [{"type": 1}]}, "tools[0].type"),
        ({"tools": [{"function": {"name": ["f"]}}]}, "tools[0].function.name"),
        ({"functions": [{"name": "f", "function": {"name": "g"}}]}, "functions[0].function"),
        ({"functions": [{"name": 1}]}, "functions[0].name"),
        ({"functions": ["f"]}, "functions[0]"),
    ],
)
def test_a_tool_with_two_names_is_refused(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Malformed) as refused:
        CHAT.check(chat_request(**more))
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        ({"tool_choice": FUNCTION}, True),
        ({"tool_choice": CUSTOM}, False),
        ({"tool_choice": {"type": "custom", "function": {"name": "f"}}}, False),
        ({"function_call": {"name": "f"}}, True),
        ({"function_call": {"name": "g"}}, False),
    ],
)
def test_a_choice_goes_by_its_own_form(choice: dict[str, Any], kept: bool) -> None:
    request = chat_request(tools=[FUNCTION, CUSTOM], **choice)
    if kept:
        CHAT.restrict_tools(request, {"f"})
        assert request.items() >= choice.items()
    else:
        with pytest.raises(Malformed):
            CHAT.restrict_tools(request, {"f"})


def test_a_choice_among_tools_keeps_those_that_are_allowed() -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"tools": [FUNCTION, CUSTOM]}}
    request = chat_request(tools=[FUNCTION, CUSTOM], tool_choice=choice)
    CHAT.restrict_tools(request, {"f"})
    assert request["tool_choice"]["allowed_tools"]["tools"] == [FUNCTION]
