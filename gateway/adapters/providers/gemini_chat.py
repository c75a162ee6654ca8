"""A chat request as Gemini's `generateContent` reads it.

Source: OpenAI's API reference, "Chat"; Google's Gemini API reference, "generateContent",
"Thought signatures" and "OpenAI compatibility" (`extra_body`, `extra_content`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.adapters.providers import carrying
from gateway.adapters.providers.translation.carried import obj, only, refused, text

_NAMES = frozenset(
    {
        "extra_body",
        "frequency_penalty",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "n",
        "presence_penalty",
        "reasoning_effort",
        "response_format",
        "seed",
        "stop",
        "stream",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
    }
)
_SAME = {
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "seed": "seed",
    "temperature": "temperature",
    "top_logprobs": "logprobs",
    "top_p": "topP",
}
"""Members that only have another name in `generationConfig`."""
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mp3"}
_BY_BUDGET = re.compile(r"gemini-2\b")
"""Models that are told how many tokens to think; later ones are told a level."""
_BUDGETS = {"none": 0, "minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")


def generate_request(body: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The body of `generateContent` for the chat request `body` to `model`.

    Raises `Malformed`, naming the field, for what cannot be carried.
    """
    said = carrying.members(body, _NAMES)
    system, contents = _conversation(said["messages"])
    request: dict[str, Any] = {"contents": contents}
    if system:
        request["systemInstruction"] = {"parts": system}
    if "tools" in said:
        strict, declared = _declared(said["tools"])
        request["tools"] = [{"functionDeclarations": declared}]
        calling = _calling(said.get("tool_choice", "auto"), strict)
        request["toolConfig"] = {"functionCallingConfig": calling}
    elif said.get("tool_choice", "none") not in ("none", "auto"):
        raise carrying.cannot("tool_choice", "no tools are offered")
    if config := _config(said, model):
        request["generationConfig"] = config
    return request


def _config(said: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The `generationConfig`."""
    config = {theirs: said[ours] for ours, theirs in _SAME.items() if ours in said}
    if (most := carrying.most_output(said)) is not None:
        config["maxOutputTokens"] = most
    if "stop" in said:
        config["stopSequences"] = carrying.stops(said["stop"])
    if "response_format" in said:
        config |= _formatted(said["response_format"])
    thinking = _thinking(said, model)
    if thinking:
        config["thinkingConfig"] = thinking
    return config


def _formatted(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The members that ask for JSON. A schema's own `name` is read by nobody."""
    form = {"responseMimeType": "application/json"}
    match wanted.get("type"):
        case "json_object":
            only(wanted, ("type",), "response_format")
            return form
        case "json_schema":
            named = carrying.schema_format(wanted)
            schema = named["schema"]
            if named.get("description") is not None:
                if "description" in schema:
                    raise refused("response_format.json_schema.description")
                schema = {**schema, "description": named["description"]}
            return {**form, "responseJsonSchema": schema}
        case _:
            raise refused("response_format.type")


def _thinking(said: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The `thinkingConfig`: from `reasoning_effort`, or from Google's own `extra_body`."""
    config: dict[str, Any] = {}
    if "extra_body" in said:
        extra = obj(said["extra_body"], "extra_body")
        only(extra, ("google",), "extra_body")
        google = obj(extra.get("google"), "extra_body.google")
        only(google, ("thinking_config",), "extra_body.google")
        where = "extra_body.google.thinking_config"
        config = _thinking_config(obj(google.get("thinking_config"), where), where)
    if "reasoning_effort" not in said:
        return config
    if config.keys() - {"includeThoughts"}:
        raise carrying.cannot("reasoning_effort", "extra_body says it in another way")
    effort = text(said, "reasoning_effort", "")
    if _BY_BUDGET.search(model):
        if effort not in _BUDGETS:
            raise refused("reasoning_effort")
        return {**config, "thinkingBudget": _BUDGETS[effort]}
    if effort not in _LEVELS:
        raise refused("reasoning_effort")
    return {**config, "thinkingLevel": effort.upper()}


def _thinking_config(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    only(given, ("include_thoughts", "thinking_budget", "thinking_level"), where)
    config: dict[str, Any] = {}
    if given.get("include_thoughts") is not None:
        config["includeThoughts"] = given["include_thoughts"] is True
    if (budget := given.get("thinking_budget")) is not None:
        if type(budget) is not int:
            raise refused(f"{where}.thinking_budget")
        config["thinkingBudget"] = budget
    if (level := given.get("thinking_level")) is not None:
        if not isinstance(level, str) or level.lower() not in _LEVELS:
            raise refused(f"{where}.thinking_level")
        config["thinkingLevel"] = level.upper()
    return config


def _declared(tools: list[Any]) -> tuple[bool, list[dict[str, Any]]]:
    """Whether a function is strict, and the declarations of all."""
    strict = False
    declared = []
    for function, _ in carrying.functions(tools):
        strict = strict or function.get("strict") is True
        declaration = {"name": function["name"]}
        if function.get("description") is not None:
            declaration["description"] = function["description"]
        if function.get("parameters") is not None:
            declaration["parametersJsonSchema"] = function["parameters"]
        declared.append(declaration)
    return strict, declared


def _calling(choice: Any, strict: bool) -> dict[str, Any]:
    """The `functionCallingConfig`. Arguments are held to their schema in ANY and VALIDATED."""
    mode, names = carrying.chosen(choice)
    if mode == "none":
        return {"mode": "NONE"}
    held = {} if names is None else {"allowedFunctionNames": names}
    if mode == "required":
        return {"mode": "ANY", **held}
    return {"mode": "VALIDATED" if strict or names is not None else "AUTO", **held}


def _conversation(
    messages: list[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The parts of the system instruction, and the contents.

    Results that follow one another are one content: they answer the calls of one turn.
    """
    system: list[dict[str, Any]] = []
    contents: list[dict[str, Any]] = []
    called: dict[str, str] = {}
    before = ""
    for index, message in enumerate(messages):
        where, role = f"messages[{index}]", message["role"]
        match role:
            case "system" | "developer":
                if contents:
                    raise carrying.cannot(f"{where}.role", "it can only stand at the start")
                system += _instructions(message, where)
            case "tool":
                result = _result(message, where, called)
                if before == "tool":
                    contents[-1]["parts"].append(result)
                else:
                    contents.append({"role": "user", "parts": [result]})
            case "user":
                only(message, ("role", "content"), where)
                parts = list(_parts(message.get("content"), f"{where}.content"))
                contents.append({"role": "user", "parts": _some(parts, where)})
            case "assistant":
                parts = _answer(message, where)
                called |= {
                    c["id"]: c["function"]["name"] for c, _ in carrying.calls(message, where)
                }
                contents.append({"role": "model", "parts": _some(parts, where)})
            case _:
                raise refused(f"{where}.role")
        before = role
    return system, contents


def _some(parts: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    if not parts:
        raise carrying.cannot(f"{where}.content", "the message says nothing")
    return parts


def _instructions(message: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    only(message, ("role", "content"), where)
    return [{"text": said} for said in carrying.texts(message.get("content"), f"{where}.content")]


def _result(message: Mapping[str, Any], where: str, called: Mapping[str, str]) -> dict[str, Any]:
    """A tool's result. `name`, which some clients add, is what the call says already."""
    only(message, ("role", "content", "tool_call_id", "name"), where)
    id = text(message, "tool_call_id", where)
    if id not in called:
        raise carrying.cannot(f"{where}.tool_call_id", "no call before it has this id")
    if message.get("name") not in (None, called[id]):
        raise carrying.cannot(f"{where}.name", "the call has another name")
    said = "".join(carrying.texts(message.get("content"), f"{where}.content"))
    response = {"id": id, "name": called[id], "response": {"output": said}}
    return {"functionResponse": response}


def _answer(message: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """The parts of what the model said before: text and calls, with their signatures."""
    carrying.only_said(message, where)
    said = [part for part in _parts(message.get("content"), f"{where}.content") if part != _EMPTY]
    if message.get("refusal"):
        said.append({"text": message["refusal"]})
    if sign := _signed(message, where):
        said = said or [dict(_EMPTY)]
        said[-1] |= sign
    for call, place in carrying.calls(message, where):
        made = {"id": call["id"], "name": call["function"]["name"]}
        made["args"] = carrying.arguments(call, place)
        said.append({"functionCall": made, **_signed(call, place)})
    return said


_EMPTY = {"text": ""}


def _signed(holder: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The thought signature at `extra_content.google`, if there is one."""
    google, place = carrying.extra_content(holder, "google", where)
    only(google, ("thought_signature",), place)
    if google.get("thought_signature") is None:
        return {}
    place = f"{place}.thought_signature"
    return {"thoughtSignature": carrying.signature(google["thought_signature"], place)}


def _parts(content: Any, where: str) -> Iterator[dict[str, Any]]:
    """The parts of a message's content: text as it is, what else there is as inline data.

    The `detail` of an image and the `filename` of a file are dropped.
    """
    for part, place in carrying.parts(content, where):
        match part["type"]:
            case "text":
                only(part, ("type", "text"), place)
                yield {"text": part["text"]}
            case "refusal":
                only(part, ("type", "refusal"), place)
                yield {"text": part["refusal"]}
            case "image_url" | "input_audio" | "file":
                media, encoded = carrying.medium(part, place, _AUDIO)
                yield {"inlineData": {"mimeType": media, "data": encoded}}
            case _:
                raise refused(f"{place}.type")
