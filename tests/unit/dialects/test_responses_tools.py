"""The tools of a request: by which names a policy speaks of them, and how they are taken away."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.errors import Malformed
from gateway.dialects.responses import Responses
from tests.unit.dialects.test_responses_request import asking

RESPONSES = Responses()
SEND = {"type": "function", "name": "send"}
WRITE = {"type": "custom", "name": "write"}
SEARCH = {"type": "web_search"}
SERVER = {"type": "mcp", "server_label": "send", "name": "send"}


def crm() -> dict[str, Any]:
    return {"type": "namespace", "name": "crm", "tools": [dict(SEND), dict(WRITE)]}


def test_their_names() -> None:
    later = {"type": "additional_tools", "tools": [{"type": "function", "name": "later"}]}
    request = asking([later], tools=[SEND, WRITE, SEARCH, SERVER, crm()])
    assert RESPONSES.tools(request) == [
        *("send", "write", "web_search", "mcp:send", "send", "write", "later")
    ]


def test_they_are_restricted_wherever_they_are_offered() -> None:
    later = {"type": "additional_tools", "tools": [dict(SEND), dict(WRITE)]}
    request = asking([later], tools=[SEND, WRITE, SEARCH, SERVER, crm()], tool_choice="auto")
    RESPONSES.restrict_tools(request, {"send"})
    assert request["tools"] == [SEND, crm() | {"tools": [SEND]}]
    assert later["tools"] == [SEND]
    assert request["tool_choice"] == "auto"


def test_no_server_passes_for_a_function() -> None:
    request = asking(tools=[SERVER])
    RESPONSES.restrict_tools(request, {"send"})
    assert "tools" not in request


def test_without_tools_there_is_nothing_to_choose() -> None:
    request = asking(tools=[SEND], tool_choice="auto", parallel_tool_calls=True)
    RESPONSES.restrict_tools(request, ())
    assert request == asking()


@pytest.mark.parametrize(
    "choice",
    [SEND, SERVER, {"type": "web_search"}, "required",
     {"type": "allowed_tools", "mode": "required", "tools": [SEND]}],
)  # fmt: skip
def test_who_insists_on_a_tool_that_is_not_allowed_is_refused(choice: Any) -> None:
    request = asking(tools=[SEND, SEARCH, SERVER], tool_choice=choice)
    with pytest.raises(Malformed) as refused:
        RESPONSES.restrict_tools(request, {"write"})
    assert refused.value.param == "tool_choice"


def test_a_choice_among_tools_keeps_those_that_are_allowed() -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [SEND, WRITE, "x"]}
    request = asking(tools=[SEND, WRITE], tool_choice=choice)
    RESPONSES.restrict_tools(request, {"send"})
    assert request["tool_choice"]["tools"] == [SEND]


def test_a_choice_among_none_does_not_become_a_choice_among_all() -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [WRITE]}
    request = asking(tools=[SEND, WRITE], tool_choice=choice)
    RESPONSES.restrict_tools(request, {"send"})
    assert request["tool_choice"] == "none"
