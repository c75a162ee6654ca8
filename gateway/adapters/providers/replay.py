"""The provider that needs no network: the same request gets the same answer, always.

It says back what it was told, so that whatever was masked on the way is there to see. What
else it can do is written in `replay_script`. Answers are those of OpenAI's chat completions.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import zip_longest
from typing import Any
from zlib import crc32

import orjson

from gateway.adapters.providers.begun import begun
from gateway.adapters.providers.refusals import refused
from gateway.adapters.providers.replay_script import Fault, Script, parse
from gateway.adapters.providers.replay_values import instance
from gateway.core.answer import Event, Events
from gateway.core.errors import Code, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.ports import Model

CREATED = 1_767_225_600
"""When every answer says it was made: 1 January 2026."""

_OPENINGS = ("You said: ", "I heard: ", "You wrote: ")
_WORD = re.compile(r"\s*\S+|\s+\Z")
_NAME = re.compile(r"[\w-]+")


def script(request: Mapping[str, Any]) -> Script:
    """The directions in the request. Raises `ValueError` where they, or it, are malformed."""
    return _heard(request)[0]


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The whole `chat.completion` that answers `request`.

    `usage` is exact: a token is four bytes, or what is left of them. Raises `ValueError` for
    a request that cannot be answered.
    """
    told, text = _heard(request)
    mark = blake2b(orjson.dumps(request, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()
    wanted = [_choice(request, told, text, index) for index in range(request.get("n") or 1)]
    read = _tokens(orjson.dumps([request.get(k) for k in ("messages", "tools", "response_format")]))
    said = sum(_tokens(_said(choice["message"]).encode()) for choice in wanted)
    return {
        "id": f"chatcmpl-{mark}",
        "object": "chat.completion",
        "created": CREATED,
        "model": request.get("model"),
        "choices": wanted,
        "usage": {"prompt_tokens": read, "completion_tokens": said, "total_tokens": read + said},
        "system_fingerprint": "fp_replay",
    }


def chunks(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The `chat.completion.chunk`s that answer `request`; they fold into its `answer`."""
    whole = answer(request)
    told = script(request)
    head = {key: whole[key] for key in ("id", "created", "model", "system_fingerprint")}
    head["object"] = "chat.completion.chunk"
    with_usage = bool((request.get("stream_options") or {}).get("include_usage"))
    if with_usage:
        head["usage"] = None
    pieces = [list(_unfolded(choice, told)) for choice in whole["choices"]]
    made = [head | {"choices": [p]} for row in zip_longest(*pieces) for p in row if p is not None]
    if with_usage:
        made.append(head | {"choices": [], "usage": whole["usage"]})
    return made


class ReplayProvider:
    """Answers from the request alone. `pace_seconds` is waited before each chunk.

    A scripted `hang` ends as a timeout after `patience` seconds.
    """

    def __init__(self, pace_seconds: float = 0.0, *, patience: float = 60.0) -> None:
        self.name = "replay"
        self._pace = pace_seconds
        self._patience = patience

    async def send(self, exchange: Exchange, model: Model, body: Mapping[str, Any]) -> Events:
        """Answer `body`, for chat completions. Raises `UpstreamError`, as scripted or not."""
        if exchange.dialect.action != "chat.completions.create":
            raise UpstreamError(Code.UNKNOWN_URL, f"Replay has no {exchange.dialect.action}.")
        request = {**body, "model": model.upstream_model}
        streamed = body.get("stream") is True
        try:
            told = script(request)
            pieces = chunks(request) if streamed else [answer(request)]
        except ValueError as error:
            raise refused(self.name, 400, {}, error_body(str(error))) from error
        exchange.headers["x-govgate-upstream-request-id"] = f"req_{pieces[0]['id']}"
        if told.status is not None:
            headers = {"retry-after": str(told.retry_after)} if told.retry_after else {}
            raise refused(self.name, told.status, headers, error_body("as scripted"))
        pace = self._pace if told.slow is None else told.slow
        return await begun(self.name, self._events(pieces, told, pace, whole=not streamed))

    async def _events(
        self, pieces: Sequence[dict[str, Any]], told: Script, pace: float, *, whole: bool
    ) -> AsyncIterator[Event]:
        for place, piece in enumerate(pieces):
            if told.fault and (whole or told.fault.after == place):
                await self._suffer(told.fault)
            if pace:
                await asyncio.sleep(pace)
            yield Event(piece, whole=whole)
        if told.fault and told.fault.after >= len(pieces):
            await self._suffer(told.fault)

    async def _suffer(self, fault: Fault) -> None:
        match fault.kind:
            case "die":
                raise UpstreamError(Code.UPSTREAM_ERROR, "The connection to replay broke.")
            case "hang":
                await asyncio.sleep(self._patience)
                raise UpstreamError(Code.UPSTREAM_TIMEOUT, "Replay did not answer in time.")
            case "malformed":
                raise UpstreamError(Code.UPSTREAM_ERROR, "Replay sent what is not JSON.")
            case "error":
                said = orjson.loads(error_body("as scripted"))["error"]
                raise UpstreamError(Code.UPSTREAM_ERROR, "Replay reported an error.", body=said)


def error_body(message: str) -> bytes:
    """OpenAI's error body with `message`."""
    error = {"message": message, "type": "replay_error", "param": None, "code": None}
    return orjson.dumps({"error": error})


def _heard(request: Mapping[str, Any]) -> tuple[Script, str]:
    """The directions, and the text to answer: what tools gave, else what the user said."""
    messages = request.get("messages")
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        raise ValueError("`messages` is a list of objects")
    asked = [message for message in messages if message.get("role") == "user"]
    told, text = parse(_text(asked[-1].get("content")) if asked else "")
    results = [_text(m.get("content")) for m in _results(messages)]
    return told, " ".join(results) if results else text


def _results(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The tool results at the end, in order."""
    first = len(messages)
    while first and messages[first - 1].get("role") == "tool":
        first -= 1
    return list(messages[first:])


def _text(content: object) -> str:
    """A message's text; a part that is none is named."""
    if isinstance(content, list):
        parts = (part for part in content if isinstance(part, dict))
        return "\n".join(str(part.get("text") or f"[{part.get('type')}]") for part in parts)
    return content if isinstance(content, str) else ""


def _choice(request: Mapping[str, Any], told: Script, text: str, index: int) -> dict[str, Any]:
    """One choice, cut at the output limit as a model's would be."""
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    calls = _calls(request, told, text)
    if calls:
        message["tool_calls"] = [
            {
                "id": f"call_{index}_{place}",
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
            for place, (name, arguments) in enumerate(calls)
        ]
    elif told.refuse is not None:
        message["refusal"] = told.refuse
    else:
        message["content"] = _stopped(_content(request, told, text, index), request.get("stop"))
    cut = _limit(message, request)
    reason = "length" if cut else "tool_calls" if calls else "stop"
    spelled = _spelled(message, told) if request.get("logprobs") else None
    return {"index": index, "message": message, "logprobs": spelled, "finish_reason": reason}


def _content(request: Mapping[str, Any], told: Script, text: str, index: int) -> str:
    if told.say is not None:
        return told.say
    said = f"{_OPENINGS[((request.get('seed') or 0) + index) % len(_OPENINGS)]}{text}"
    if _results(request["messages"]):
        said = f"The tool says: {text}"
    match request.get("response_format"):
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return orjson.dumps(instance(schema, said)).decode()
        case {"type": "json_object"}:
            return orjson.dumps({"answer": said}).decode()
        case _:
            return said


def _calls(request: Mapping[str, Any], told: Script, text: str) -> Sequence[tuple[str, str]]:
    """The tools to call, with their arguments: as directed, forced, or asked for in words.

    Words that ask: "call" or "use", with a tool's name, or "tool" (the first), or "tools".
    """
    offered = {
        tool["function"]["name"]: tool["function"].get("parameters") or {"type": "object"}
        for tool in request.get("tools") or ()
        if isinstance(tool, dict) and isinstance(tool.get("function"), dict)
    }
    if _results(request["messages"]) or request.get("tool_choice") == "none":
        return ()
    if told.tools:
        return told.tools
    names = [name for name in _named(request.get("tool_choice"), text, offered) if name in offered]
    if request.get("parallel_tool_calls") is False:
        names = names[:1]
    return [(name, orjson.dumps(instance(offered[name], text)).decode()) for name in names]


def _named(choice: object, text: str, offered: Mapping[str, Any]) -> list[str]:
    match choice:
        case {"function": {"name": str() as name}}:
            return [name]
        case "required":
            return list(offered)[:1]
    words = set(_NAME.findall(text.lower()))
    if not words & {"call", "use"}:
        return []
    named = [name for name in offered if name.lower() in words]
    return named or list(offered)[: len(offered) if "tools" in words else "tool" in words]


def _stopped(text: str, stop: object) -> str:
    """`text` up to the first of the stop sequences."""
    for mark in [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []:
        text = text.partition(mark)[0] if mark else text
    return text


def _limit(message: dict[str, Any], request: Mapping[str, Any]) -> bool:
    """Cut the message down to the output limit; True when it was longer."""
    limits = [request.get(name) for name in ("max_completion_tokens", "max_tokens")]
    left = 4 * min((limit for limit in limits if limit), default=1 << 40)
    holders = [(message, "content"), (message, "refusal")]
    holders += [(call["function"], "arguments") for call in message.get("tool_calls", ())]
    for holder, key in holders:
        if holder[key] is not None:
            whole = holder[key].encode()
            holder[key] = whole[: max(left, 0)].decode(errors="ignore")
            left -= len(whole)
    return left < 0


def _said(message: Mapping[str, Any]) -> str:
    calls = "".join(call["function"]["arguments"] for call in message.get("tool_calls", ()))
    return f"{message['content'] or ''}{message['refusal'] or ''}{calls}"


def _tokens(said: bytes) -> int:
    return -(-len(said) // 4)


def _pieces(text: str, told: Script) -> list[str]:
    if told.chunk:
        return [text[at : at + told.chunk] for at in range(0, len(text), told.chunk)]
    return _WORD.findall(text)


def _spelled(message: Mapping[str, Any], told: Script) -> dict[str, Any]:
    """Log probabilities of the content, piece by piece."""
    tokens = [
        {
            "token": piece,
            "logprob": -(crc32(piece.encode()) % 100) / 100,
            "bytes": list(piece.encode()),
            "top_logprobs": [],
        }
        for piece in _pieces(message["content"] or "", told)
    ]
    return {"content": tokens, "refusal": None}


def _unfolded(choice: Mapping[str, Any], told: Script) -> Iterator[dict[str, Any]]:
    """The pieces of a choice: its opening, its text bit by bit, its ending."""
    message, spelled = choice["message"], choice["logprobs"]
    rest = {"index": choice["index"], "logprobs": None, "finish_reason": None}
    opening = {key: message[key] and "" for key in ("content", "refusal")}
    yield rest | {"delta": {"role": "assistant", **opening}}
    for place, piece in enumerate(_pieces(message["content"] or "", told)):
        spelling = spelled and {"content": [spelled["content"][place]], "refusal": None}
        yield rest | {"delta": {"content": piece}, "logprobs": spelling}
    for piece in _pieces(message["refusal"] or "", told):
        yield rest | {"delta": {"refusal": piece}}
    for place, call in enumerate(message.get("tool_calls", ())):
        function = {"name": call["function"]["name"], "arguments": ""}
        yield rest | {"delta": {"tool_calls": [{"index": place, **call, "function": function}]}}
        for piece in _pieces(call["function"]["arguments"], told):
            said = {"index": place, "function": {"arguments": piece}}
            yield rest | {"delta": {"tool_calls": [said]}}
    yield rest | {"delta": {}, "finish_reason": choice["finish_reason"]}
