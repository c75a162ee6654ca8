"""What translations of a chat request into another API share: reading it, and saying no.

A member that the other API cannot carry is refused, and named. Dropped are only those in
`HINTS`, which change nothing that the model reads or says, and values in `IDLE`, which ask for
what happens anyway. Shapes are those of OpenAI's API reference ("Chat").
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from gateway.adapters.providers.translation.carried import (
    obj,
    one_of,
    only,
    refused,
    text,
    within,
)
from gateway.core.errors import Malformed
from gateway.core.json_body import parse

HINTS = frozenset(
    {
        "metadata",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "stream_options",
        "user",
    }
)
"""Members of a request that say how it is delivered, cached or attributed."""

IDLE: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "function_call": ("auto", "none"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True,),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "stop": ([],),
    "store": (False,),
    "stream": (False,),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
}
"""Values that are the same as leaving the member out."""

VENDORS = ("bedrock", "google")
"""Who puts signatures into `extra_content`."""

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w.+-]+=[^;,]*)*;base64,(.*)", re.DOTALL)
_SIGNATURE = re.compile(r"[A-Za-z0-9+/_=-]+")


def cannot(where: str, why: str) -> Malformed:
    """The error that says that `where` cannot be carried, and why."""
    return Malformed(
        f"'{where}' cannot be carried over to the provider of this model: {why}.", param=where
    )


def members(body: Mapping[str, Any], carried: Collection[str]) -> dict[str, Any]:
    """The members of a request that say something. Raises `Malformed` unless all are `carried`."""
    said = {
        name: value
        for name, value in body.items()
        if value is not None and name not in HINTS and value not in IDLE.get(name, ())
    }
    only(said, carried, "")
    return said


def parts(content: Any, where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The parts of a message's content and their places; a plain string is one text part."""
    if isinstance(content, str):
        yield {"type": "text", "text": content}, where
    for index, part in enumerate(content if isinstance(content, list) else ()):
        yield part, f"{where}[{index}]"


def texts(content: Any, where: str) -> Iterator[str]:
    """The texts of a content that may hold nothing else. Raises `Malformed`."""
    for part, place in parts(content, where):
        if part["type"] != "text":
            raise cannot(place, "only text can stand here")
        only(part, ("type", "text"), place)
        yield part["text"]


def inline(url: Any, where: str) -> tuple[str, str]:
    """The media type and the base64 of a `data:` URL. Raises `Malformed` for any other URL."""
    found = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
    if found is None:
        raise cannot(where, "it must be a data: URL in base64")
    return found[1].lower(), found[2]


def medium(part: Mapping[str, Any], where: str, audio: Mapping[str, str]) -> tuple[str, str]:
    """The media type and the base64 of a part that holds an image, audio or a file.

    `audio` says what the formats of audio are called. The `detail` of an image and the
    `filename` of a file are left out. Raises `Malformed` for what is not in the request.
    """
    kind = part["type"]
    only(part, ("type", kind), where)
    place = within(where, kind)
    holder = obj(part.get(kind), place)
    if kind == "image_url":
        only(holder, ("url", "detail"), place)
        return inline(holder.get("url"), within(place, "url"))
    if kind == "file":
        only(holder, ("file_data", "filename"), place)
        return inline(holder.get("file_data"), within(place, "file_data"))
    only(holder, ("data", "format"), place)
    return one_of(holder.get("format"), audio, within(place, "format")), text(holder, "data", place)


def signature(value: Any, where: str) -> str:
    """`value`, when it is such as providers sign with: base64, so that it hides no clear text."""
    if not isinstance(value, str) or not _SIGNATURE.fullmatch(value):
        raise Malformed(f"'{where}' must be base64.", param=where)
    return value


def functions(tools: list[Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """The functions among the tools offered, and their places. Raises `Malformed` for others."""
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        if tool.get("type") != "function":
            raise cannot(f"{where}.type", "only functions can be offered")
        only(tool, ("type", "function"), where)
        function = obj(tool.get("function"), within(where, "function"))
        only(function, ("name", "description", "parameters", "strict"), f"{where}.function")
        text(function, "name", f"{where}.function")
        yield function, f"{where}.function"


def only_said(message: Mapping[str, Any], where: str) -> None:
    """Raise `Malformed` for a member of an assistant's message that cannot be carried.

    `annotations` and reasoning are known: what a model thought it is not given to read again,
    unless it is signed.
    """
    known = ("role", "content", "refusal", "tool_calls", "extra_content")
    only(message, (*known, "annotations", "reasoning_content", "reasoning"), where)


def extra_content(holder: Mapping[str, Any], vendor: str, where: str) -> tuple[dict[str, Any], str]:
    """The object at `extra_content[vendor]`, empty where there is none, and its place.

    What another of `VENDORS` put there, as when a conversation changes its model, is left out.
    Raises `Malformed`.
    """
    place = within(where, "extra_content")
    given = obj(holder.get("extra_content") or {}, place)
    only(given, VENDORS, place)
    return obj(given.get(vendor) or {}, within(place, vendor)), within(place, vendor)


def calls(message: Mapping[str, Any], where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The function calls of an assistant's message, and their places.

    Raises `Malformed` for other calls, and for one without an id or a name.
    """
    for index, call in enumerate(message.get("tool_calls") or ()):
        place = f"{where}.tool_calls[{index}]"
        if call.get("type", "function") != "function":
            raise cannot(f"{place}.type", "only functions can be called")
        only(call, ("id", "type", "function", "index", "extra_content"), place)
        function = obj(call.get("function"), within(place, "function"))
        only(function, ("name", "arguments"), f"{place}.function")
        text(call, "id", place)
        text(function, "name", f"{place}.function")
        yield call, place


def arguments(call: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The arguments of a call: a JSON object in which no name occurs twice.

    Raises `Malformed`.
    """
    place = f"{where}.function.arguments"
    try:
        return obj(parse((call["function"].get("arguments") or "{}").encode()), place)
    except Malformed as error:
        raise Malformed(f"'{place}' must be a JSON object.", param=place) from error


def chosen(choice: Any) -> tuple[str, list[str] | None]:
    """A `tool_choice` as its mode (none, auto, required) and the names that it is held to.

    Raises `Malformed`.
    """
    match choice:
        case "none" | "auto" | "required":
            return choice, None
        case {"type": "function", "function": {"name": str() as name}}:
            return "required", [name]
        case {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto" | "required" as mode} as of,
        }:
            return mode, [function["name"] for function, _ in _allowed(of.get("tools"))]
        case _:
            raise refused("tool_choice")


def _allowed(tools: Any) -> Iterator[tuple[dict[str, Any], str]]:
    place = "tool_choice.allowed_tools.tools"
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise Malformed(f"'{place}' must be an array of objects.", param=place)
    return functions(tools)


def schema_format(response_format: Mapping[str, Any]) -> dict[str, Any]:
    """The `json_schema` of a response format, with its schema. Raises `Malformed`."""
    only(response_format, ("type", "json_schema"), "response_format")
    wanted = obj(response_format.get("json_schema"), "response_format.json_schema")
    only(wanted, ("name", "description", "schema", "strict"), "response_format.json_schema")
    obj(wanted.get("schema"), "response_format.json_schema.schema")
    return wanted


def most_output(said: Mapping[str, Any]) -> int | None:
    """The limit of output tokens, the lower where both of its names are used."""
    limits = [said[name] for name in ("max_completion_tokens", "max_tokens") if name in said]
    return min(limits, default=None)


def stops(stop: Any) -> list[str]:
    """`stop` as a list."""
    return [stop] if isinstance(stop, str) else list(stop)


def segment(name: str) -> str:
    """`name` as one segment of a URL's path, whatever it holds. Raises `Malformed`."""
    if name in ("", ".", ".."):
        raise Malformed("The model's name cannot stand in a URL.", param="model")
    return quote(name, safe="")
