"""A chat caller, served by Anthropic's Messages API.

Source: OpenAI's API reference ("Create chat completion"), Anthropic's ("Create a Message",
"Structured outputs", "Effort").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.adapters.providers.translation import chat_content
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
from gateway.adapters.providers.translation.messages_answer import MessagesAnswer
from gateway.core.errors import UpstreamError
from gateway.core.ports import Model

DEFAULT_MAX_TOKENS = 4_096
"""The output limit where neither the caller nor the catalogue has one: there must be one."""

CARRIED = frozenset(
    {
        "model",
        "messages",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "stop",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "reasoning_effort",
        "user",
        "safety_identifier",
        "stream",
        "stream_options",
    }
)
DROPPED = frozenset(
    {"seed", "metadata", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"}
)
"""Hints about delivery and storage: without them an answer is no other answer."""
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "store": (False,),
    "service_tier": ("auto", "default"),
    "modalities": (["text"],),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "verbosity": ("medium",),
    "functions": ([],),
}
"""Members with no counterpart, and the values at which that makes no difference."""
_EFFORTS = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_ERRORS = {"api_error": "server_error", "overloaded_error": "server_error"} | {
    "timeout_error": "server_error",
    "request_too_large": "invalid_request_error",
    "not_found_error": "invalid_request_error",
}
"""Types of Anthropic's errors by OpenAI's names, where the names differ."""


class ChatToMessages:
    """Asks Messages for a chat completion. `created` is when, in seconds of Unix time."""

    def __init__(self, body: Mapping[str, Any], model: Model, created: int) -> None:
        options = body.get("stream_options") or {}
        counted = body.get("stream") is not True or bool(options.get("include_usage"))
        self._body = body
        self._model = model
        self._answer = MessagesAnswer(created, counted=counted)

    def request(self) -> dict[str, Any]:
        body = self._body
        _check(body)
        instructions = chat_content.system(body["messages"])
        asked: dict[str, Any] = {
            "model": self._model.upstream_model,
            "max_tokens": _limit(body) or self._model.max_output_tokens or DEFAULT_MAX_TOKENS,
            "messages": chat_content.turns(body["messages"]),
        }
        if instructions:
            asked["system"] = instructions
        if tools := _tools(body):
            asked["tools"] = tools
        if choice := _tool_choice(body):
            asked["tool_choice"] = choice
        for name in ("temperature", "top_p"):
            if (value := number(body, name, 1)) is not None:
                asked[name] = value
        if stop := body.get("stop"):
            asked["stop_sequences"] = [stop] if isinstance(stop, str) else stop
        if person := body.get("safety_identifier") or body.get("user"):
            asked["metadata"] = {"user_id": person}
        if body.get("stream") is True:
            asked["stream"] = True
        return asked | _effort(body)

    def whole(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        return self._answer.whole(answer)

    def events(self, event: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        return self._answer.events(event)

    def end(self) -> Iterable[dict[str, Any]]:
        return self._answer.end()

    def error(self, error: UpstreamError) -> None:
        if error.body is not None:
            kind = error.body.get("type")
            named = {"type": _ERRORS.get(str(kind), kind), "code": kind} if kind else {}
            error.body = {**error.body, "param": None, **named}


def _check(body: Mapping[str, Any]) -> None:
    for name, value in body.items():
        if value is None or name in CARRIED or name in DROPPED:
            continue
        if name not in NEUTRAL or value not in NEUTRAL[name]:
            raise refused(name)


def _limit(body: Mapping[str, Any]) -> int | None:
    limits = [body.get("max_completion_tokens"), body.get("max_tokens")]
    return min((limit for limit in limits if limit is not None), default=None)


def _tools(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = objects(body.get("tools") or [], "tools")
    return [_tool(tool, f"tools[{index}]") for index, tool in enumerate(listed)]


def _tool(tool: dict[str, Any], where: str) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise refused(f"{where}.type")
    only(tool, ("type", "function"), where)
    function, where = obj(tool.get("function"), f"{where}.function"), f"{where}.function"
    only(function, ("name", "description", "parameters", "strict"), where)
    parameters = function.get("parameters")
    if parameters is None:
        parameters = {"type": "object", "properties": {}}
    offered = {"name": text(function, "name", where)}
    if function.get("description") is not None:
        offered["description"] = text(function, "description", where)
    schema = {"input_schema": obj(parameters, f"{where}.parameters")}
    return offered | schema | ({"strict": True} if flag(function, "strict", where) else {})


def _tool_choice(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Which tool to use, and whether several at once. Nothing, where no tool is offered."""
    if not body.get("tools"):
        if body.get("tool_choice") not in (None, "auto", "none"):
            raise refused("tool_choice")
        return None
    parallel = body.get("parallel_tool_calls") is None or flag(body, "parallel_tool_calls", "")
    choice = body.get("tool_choice")
    if choice is None and parallel:
        return None
    chosen = _chosen("auto" if choice is None else choice)
    if not parallel and chosen["type"] != "none":
        chosen["disable_parallel_tool_use"] = True
    return chosen


def _chosen(choice: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(choice, str):
        return {"type": one_of(choice, _CHOICES, "tool_choice")}
    if choice.get("type") != "function":
        raise refused("tool_choice.type")
    only(choice, ("type", "function"), "tool_choice")
    function = obj(choice.get("function"), "tool_choice.function")
    only(function, ("name",), "tool_choice.function")
    return {"type": "tool", "name": text(function, "name", "tool_choice.function")}


def _effort(body: Mapping[str, Any]) -> dict[str, Any]:
    """How hard to think and in which form to answer; one member holds both over there."""
    config: dict[str, Any] = {}
    more: dict[str, Any] = {}
    effort = body.get("reasoning_effort")
    if effort == "none":
        more["thinking"] = {"type": "disabled"}
    elif effort is not None:
        config["effort"] = one_of(effort, _EFFORTS, "reasoning_effort")
    if (schema := _schema(body.get("response_format"))) is not None:
        config["format"] = {"type": "json_schema", "schema": schema}
    return more | ({"output_config": config} if config else {})


def _schema(wanted: dict[str, Any] | None) -> dict[str, Any] | None:
    """The JSON schema of the answer. Any JSON at all (`json_object`) cannot be asked for."""
    where = "response_format"
    if wanted is None or wanted.get("type") == "text":
        return None
    if wanted.get("type") != "json_schema":
        raise refused(f"{where}.type")
    only(wanted, ("type", "json_schema"), where)
    stated, where = obj(wanted.get("json_schema"), f"{where}.json_schema"), f"{where}.json_schema"
    only(stated, ("name", "strict", "schema", "description"), where)
    schema = obj(stated.get("schema"), f"{where}.schema")
    if stated.get("description") is None:
        return schema
    if "description" in schema:
        raise refused(f"{where}.description")
    return {"description": text(stated, "description", where), **schema}
