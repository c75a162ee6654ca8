"""A chat request as Amazon Bedrock's Converse reads it.

Source: OpenAI's API reference, "Chat"; the Amazon Bedrock API reference, "Converse" and
"ConverseStream".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.adapters.providers import carrying
from gateway.adapters.providers.translation.carried import one_of, only, refused, text, within

_NAMES = frozenset(
    {
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "reasoning_effort",
        "response_format",
        "stop",
        "stream",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
    }
)
_IMAGES = {f"image/{kind}": kind for kind in ("png", "jpeg", "gif", "webp")}
_OFFICE = "application/vnd.openxmlformats-officedocument"
_DOCUMENTS = {
    "application/pdf": "pdf",
    "application/msword": "doc",
    f"{_OFFICE}.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    f"{_OFFICE}.spreadsheetml.sheet": "xlsx",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
}
_AUDIO = {"wav": "wav", "mp3": "mp3"}
_EFFORTS = {effort: effort for effort in ("low", "medium", "high", "xhigh")}
_ANYTHING = {"type": "object", "properties": {}}
"""The schema of a function that says nothing about its parameters."""


def converse_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of Converse, and of ConverseStream, for the chat request `body`.

    Raises `Malformed`, naming the field, for what cannot be carried.
    """
    said = carrying.members(body, _NAMES)
    system, messages = _conversation(said["messages"])
    request: dict[str, Any] = {"messages": messages}
    if system:
        request["system"] = system
    if inference := _inference(said):
        request["inferenceConfig"] = inference
    if tools := _tools(said, messages):
        request["toolConfig"] = tools
    if output := _output(said):
        request["outputConfig"] = output
    return request


def _inference(said: Mapping[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if (most := carrying.most_output(said)) is not None:
        config["maxTokens"] = most
    if "temperature" in said:
        config["temperature"] = said["temperature"]
    if "top_p" in said:
        config["topP"] = said["top_p"]
    if "stop" in said:
        config["stopSequences"] = carrying.stops(said["stop"])
    return config


def _output(said: Mapping[str, Any]) -> dict[str, Any]:
    """The `outputConfig`: how hard to think, and the schema of the answer."""
    config: dict[str, Any] = {}
    if "reasoning_effort" in said:
        config["effort"] = one_of(said["reasoning_effort"], _EFFORTS, "reasoning_effort")
    if "response_format" in said:
        if said["response_format"].get("type") != "json_schema":
            raise refused("response_format.type")
        named = carrying.schema_format(said["response_format"])
        schema = {"schema": orjson.dumps(named["schema"]).decode()}
        schema |= {key: named[key] for key in ("name", "description") if named.get(key) is not None}
        config["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    return config


def _tools(said: Mapping[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The `toolConfig`. Converse cannot offer tools and forbid them, so it offers none then.

    That is no answer where the conversation has calls: their tools must be offered.
    """
    choice = said.get("tool_choice", "auto")
    if "tools" not in said:
        if choice not in ("auto", "none"):
            raise carrying.cannot("tool_choice", "no tools are offered")
        return None
    offered = dict(_offered(said["tools"]))
    mode, names = carrying.chosen(choice)
    if mode == "none":
        if any("toolUse" in block for message in messages for block in message["content"]):
            raise carrying.cannot("tool_choice", "tools were called before")
        return None
    if names is not None and not offered.keys() >= set(names):
        raise carrying.cannot("tool_choice", "it names a tool that is not offered")
    picked: dict[str, Any] = {"auto": {}} if mode == "auto" else {"any": {}}
    if names is not None and isinstance(choice, dict) and choice["type"] == "function":
        picked = {"tool": {"name": names[0]}}
    elif names is not None:
        offered = {name: tool for name, tool in offered.items() if name in names}
    return {"tools": list(offered.values()), "toolChoice": picked}


def _offered(tools: list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for function, _ in carrying.functions(tools):
        schema = function.get("parameters")
        tool = {"name": function["name"], "inputSchema": {"json": schema or _ANYTHING}}
        if function.get("description"):
            tool["description"] = function["description"]
        if function.get("strict") is not None:
            tool["strict"] = function["strict"]
        yield function["name"], {"toolSpec": tool}


def _conversation(
    messages: list[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The system blocks, and the messages, of which no two neighbours have one role.

    A system message that stands further on stays where it is, as a message of that role.
    """
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        match message["role"]:
            case "system" | "developer":
                only(message, ("role", "content"), where)
                said = carrying.texts(message.get("content"), f"{where}.content")
                role, blocks = "system", [{"text": words} for words in said if words]
                if not turns:
                    system += blocks
                    continue
            case "user":
                only(message, ("role", "content"), where)
                role, blocks = "user", list(_blocks(message.get("content"), f"{where}.content"))
            case "tool":
                role, blocks = "user", [_result(message, where)]
            case "assistant":
                role, blocks = "assistant", _answer(message, where)
            case _:
                raise refused(f"{where}.role")
        if not blocks:
            raise carrying.cannot(f"{where}.content", "the message says nothing")
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return system, turns


def _result(message: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A tool's result. `name`, which some clients add, is what the call says already."""
    only(message, ("role", "content", "tool_call_id", "name"), where)
    said = carrying.texts(message.get("content"), f"{where}.content")
    content = [{"text": words} for words in said]
    return {"toolResult": {"toolUseId": text(message, "tool_call_id", where), "content": content}}


def _answer(message: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """The blocks of what the model said before: signed thoughts, text, calls."""
    carrying.only_said(message, where)
    blocks = list(_thoughts(message, where))
    blocks += _blocks(message.get("content"), f"{where}.content")
    if message.get("refusal"):
        blocks.append({"text": message["refusal"]})
    for call, place in carrying.calls(message, where):
        made = {"toolUseId": call["id"], "name": call["function"]["name"]}
        blocks.append({"toolUse": {**made, "input": carrying.arguments(call, place)}})
    return blocks


def _thoughts(message: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """Reasoning as it was signed: see `bedrock_answer`. What is unsigned is left out."""
    given, place = carrying.extra_content(message, "bedrock", where)
    only(given, ("reasoning_signature", "redacted_reasoning"), place)
    if given.get("reasoning_signature") is not None:
        mark = carrying.signature(
            given["reasoning_signature"], within(place, "reasoning_signature")
        )
        thought = {"text": message.get("reasoning_content") or "", "signature": mark}
        yield {"reasoningContent": {"reasoningText": thought}}
    if given.get("redacted_reasoning") is not None:
        hidden = carrying.signature(
            given["redacted_reasoning"], within(place, "redacted_reasoning")
        )
        yield {"reasoningContent": {"redactedContent": hidden}}


def _blocks(content: Any, where: str) -> Iterator[dict[str, Any]]:
    """The blocks of a message's content; empty text, which is an error over there, is left out.

    The `detail` of an image is dropped, and the `filename` of a file: it is a place for
    instructions, so documents are numbered instead.
    """
    for part, place in carrying.parts(content, where):
        match part["type"]:
            case "text" | "refusal" as kind:
                only(part, ("type", kind), place)
                if part[kind]:
                    yield {"text": part[kind]}
            case "image_url" | "input_audio" | "file":
                yield _media(part, place)
            case _:
                raise refused(f"{place}.type")


def _media(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind, encoded = carrying.medium(part, where, _AUDIO)
    source = {"bytes": encoded}
    match part["type"]:
        case "image_url":
            form = one_of(kind, _IMAGES, f"{where}.image_url.url")
            return {"image": {"format": form, "source": source}}
        case "file":
            form = one_of(kind, _DOCUMENTS, f"{where}.file.file_data")
            number = "-".join(part for part in where.replace("]", "[").split("[") if part.isdigit())
            return {"document": {"format": form, "name": f"document-{number}", "source": source}}
        case _:
            return {"audio": {"format": kind, "source": source}}
