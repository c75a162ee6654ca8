"""A caller of Messages, served by a provider that speaks OpenAI's chat completions.

Source: Anthropic's API reference ("Create a Message"), OpenAI's ("Create chat completion").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.adapters.providers.translation import messages_content
from gateway.adapters.providers.translation.carried import (
    flag,
    number,
    obj,
    objects,
    one_of,
    only,
    refused,
    text,
)
from gateway.adapters.providers.translation.chat_answer import ChatAnswer
from gateway.core.errors import Malformed, UpstreamError
from gateway.core.ports import Model

CARRIED = frozenset(
    {
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "max_tokens",
        "stop_sequences",
        "temperature",
        "top_p",
        "metadata",
        "thinking",
        "output_config",
        "stream",
    }
)
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "service_tier": ("auto", "standard_only"),
    "speed": ("standard",),
    "cache_control": ({"type": "ephemeral"},),
}
"""Members with no counterpart, and the values at which that makes no difference."""
_TOOL = ("type", "name", "description", "input_schema", "strict", "cache_control")
_TOOL_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "eager_input_streaming": (True, False),
    "defer_loading": (False,),
    "allowed_callers": (["direct"],),
}
_EFFORTS = {name: name for name in ("low", "medium", "high", "xhigh", "max")}
_BUDGETS = ((4_096, "low"), (16_384, "medium"))
"""Up to how many tokens of thinking an effort goes; beyond them it is `high`."""
_OWN_THINKING = ("disabled", "adaptive", "between_tools")
"""Ways of thinking that leave it to the model, or ask for none."""
_CHOICES = {"auto": "auto", "none": "none", "any": "required"}
_ERRORS = {
    400: "invalid_request_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Types of Anthropic's errors by HTTP status; any other is `api_error`."""


class MessagesToChat:
    """Asks a chat completion for a message."""

    def __init__(self, body: Mapping[str, Any], model: Model) -> None:
        self._body = body
        self._model = model
        self._answer = ChatAnswer(streamed=body.get("stream") is True)

    def request(self) -> dict[str, Any]:
        body = self._body
        _neutral(body, CARRIED, NEUTRAL, "")
        said = messages_content.system(body.get("system"))
        asked: dict[str, Any] = {
            "model": self._model.upstream_model,
            "messages": said + messages_content.messages(body.get("messages")),
        }
        if body.get("max_tokens") is not None:
            asked["max_completion_tokens"] = body["max_tokens"]
        if tools := objects(body.get("tools") or [], "tools"):
            asked["tools"] = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
        asked |= _tool_choice(body.get("tool_choice"))
        for name in ("temperature", "top_p"):
            if (value := number(body, name, 1)) is not None:
                asked[name] = value
        if body.get("stop_sequences"):
            asked["stop"] = body["stop_sequences"]
        asked |= _person(body.get("metadata")) | _effort(body)
        if body.get("stream") is True:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        return asked

    def whole(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        return self._answer.whole(answer)

    def events(self, event: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        return self._answer.events(event)

    def end(self) -> Iterable[dict[str, Any]]:
        return self._answer.end()

    def error(self, error: UpstreamError) -> None:
        if error.body is not None:
            kind = _ERRORS.get(error.status or 500, "api_error")
            code = {"code": error.body["code"]} if error.body.get("code") is not None else {}
            error.body = {"type": kind, "message": error.body.get("message"), **code}


def _neutral(
    holder: Mapping[str, Any],
    carried: Iterable[str],
    neutral: Mapping[str, tuple[Any, ...]],
    where: str,
) -> None:
    left = {name for name in neutral if holder.get(name) in neutral[name]}
    only(holder, {*carried, *left}, where)


def _tool(tool: dict[str, Any], where: str) -> dict[str, Any]:
    """A tool that the caller runs. One that Anthropic runs has a type of its own: refused."""
    if tool.get("type") not in (None, "custom"):
        raise refused(f"{where}.type")
    _neutral(tool, _TOOL, _TOOL_NEUTRAL, where)
    function: dict[str, Any] = {"name": text(tool, "name", where)}
    if tool.get("description") is not None:
        function["description"] = text(tool, "description", where)
    function["parameters"] = obj(tool.get("input_schema"), f"{where}.input_schema")
    if flag(tool, "strict", where):
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(choice: object) -> dict[str, Any]:
    if choice is None:
        return {}
    where = "tool_choice"
    chosen = obj(choice, where)
    only(chosen, ("type", "name", "disable_parallel_tool_use"), where)
    single = flag(chosen, "disable_parallel_tool_use", where)
    more = {"parallel_tool_calls": False} if single else {}
    if chosen.get("type") == "tool":
        name = text(chosen, "name", where)
        return {where: {"type": "function", "function": {"name": name}}, **more}
    return {where: one_of(chosen.get("type"), _CHOICES, f"{where}.type"), **more}


def _person(metadata: object) -> dict[str, Any]:
    if metadata is None:
        return {}
    stated = obj(metadata, "metadata")
    only(stated, ("user_id",), "metadata")
    return {"user": text(stated, "user_id", "metadata")} if stated.get("user_id") else {}


def _effort(body: Mapping[str, Any]) -> dict[str, Any]:
    """How hard to think and in which form to answer."""
    config = obj(body.get("output_config") or {}, "output_config")
    only(config, ("effort", "format"), "output_config")
    asked: dict[str, Any] = {}
    effort = config.get("effort")
    if effort is not None:
        asked["reasoning_effort"] = one_of(effort, _EFFORTS, "output_config.effort")
    elif (effort := _thinking(body.get("thinking"))) is not None:
        asked["reasoning_effort"] = effort
    if config.get("format") is not None:
        asked["response_format"] = _format(config["format"], "output_config.format")
    return asked


def _thinking(thinking: object) -> str | None:
    """The effort that comes nearest to a budget of thinking tokens; None to leave it open."""
    if thinking is None:
        return None
    wanted = obj(thinking, "thinking")
    if wanted.get("type") in _OWN_THINKING:
        return None
    if wanted.get("type") != "enabled":
        raise refused("thinking.type")
    budget = wanted.get("budget_tokens")
    if not isinstance(budget, int) or isinstance(budget, bool):
        where = "thinking.budget_tokens"
        raise Malformed(f"'{where}' must be an integer.", param=where)
    return next((effort for most, effort in _BUDGETS if budget <= most), "high")


def _format(wanted: object, where: str) -> dict[str, Any]:
    """A JSON schema for the answer. It is followed strictly, as it would be over there."""
    stated = obj(wanted, where)
    if stated.get("type") != "json_schema":
        raise refused(f"{where}.type")
    only(stated, ("type", "schema"), where)
    schema = obj(stated.get("schema"), f"{where}.schema")
    named = {"name": "answer", "strict": True, "schema": schema}
    return {"type": "json_schema", "json_schema": named}
