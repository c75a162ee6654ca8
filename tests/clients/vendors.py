"""An upstream that speaks OpenAI's Responses besides what the replay server speaks.

    python -m tests.clients.vendors --port 8081

What it says is what the replay provider says to the same question over chat completions, with
the same directions; of the faults it knows `hang`. `GET /_log` tells of all its requests.
Source: https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click
import orjson
import uvicorn

from gateway.adapters.providers.replay import answer, chunks, error_body, script
from gateway.adapters.providers.replay_server import Receive, ReplayServer, Scope, Seen, Send
from tests.houses import ROOT, Upstream, free_port, wait_for

Json = dict[str, Any]

_OPENING = 3
"""How many events more than over chat come before the first text."""


class Vendors(Upstream):
    """That server in a process of its own."""

    @classmethod
    def start(cls) -> Vendors:
        port = free_port()
        command = [sys.executable, "-m", "tests.clients.vendors", "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT)
        wait_for(f"http://127.0.0.1:{port}/v1/models", process)
        return cls(port, process)


def as_chat(request: Mapping[str, Any]) -> Json:
    """The chat request that asks the same. Raises `KeyError` for items that we do not expect."""
    given = request["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    messages = [_message(item) for item in items]
    if request.get("instructions"):
        messages.insert(0, {"role": "system", "content": request["instructions"]})
    chat: Json = {"model": request["model"], "messages": messages, "stream": True}
    if tools := request.get("tools"):
        chat["tools"] = [
            {"type": "function", "function": {key: tool[key] for key in ("name", "parameters")}}
            for tool in tools
        ]
    shape = (request.get("text") or {}).get("format") or {}
    if shape.get("type") == "json_schema":
        named = {"name": shape["name"], "schema": shape["schema"]}
        chat["response_format"] = {"type": "json_schema", "json_schema": named}
    match request.get("tool_choice"):
        case {"type": "function", "name": name}:
            chat["tool_choice"] = {"type": "function", "function": {"name": name}}
        case str() as choice:
            chat["tool_choice"] = choice
    return chat


def _message(item: Mapping[str, Any]) -> Json:
    match item.get("type"):
        case "function_call":
            called = {"name": item["name"], "arguments": item["arguments"]}
            call = {"id": item["call_id"], "type": "function", "function": called}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        case "function_call_output":
            return {"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]}
        case None | "message":
            return {"role": item["role"], "content": _said(item["content"])}
    raise KeyError(item["type"])


def _said(content: Any) -> Any:
    """What an assistant said before, as chat has it; anything else as it is."""
    parts = content if isinstance(content, list) else ()
    if parts and all(part["type"] == "output_text" for part in parts):
        return "".join(part["text"] for part in parts)
    return content


def response(request: Mapping[str, Any], chat: Mapping[str, Any]) -> Json:
    """The whole response."""
    whole = answer(chat)
    message, usage = whole["choices"][0]["message"], whole["usage"]
    output: list[Json] = [
        {
            "id": f"fc_{call['id']}",
            "type": "function_call",
            "status": "completed",
            "call_id": call["id"],
            **call["function"],
        }
        for call in message.get("tool_calls", ())
    ]
    if message["content"] is not None:
        said = {
            "type": "output_text", "text": message["content"], "annotations": [], "logprobs": [],
        }  # fmt: skip
        id = "msg_" + whole["id"].removeprefix("chatcmpl-")
        about = {"id": id, "type": "message", "status": "completed", "role": "assistant"}
        output.append({**about, "content": [said]})
    return {
        **_head(request, whole["id"]),
        "status": "completed",
        "output": output,
        "usage": {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage["total_tokens"],
        },
    }


def _head(request: Mapping[str, Any], id: str) -> Json:
    kept = ("instructions", "metadata", "temperature", "top_p", "text", "previous_response_id")
    return {
        "id": id.replace("chatcmpl", "resp"),
        "object": "response",
        "created_at": 1_767_225_600,
        "status": "in_progress",
        "model": request["model"],
        "output": [],
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": request.get("parallel_tool_calls", True),
        "tool_choice": request.get("tool_choice", "auto"),
        "tools": request.get("tools", []),
        "usage": None,
        **{key: request.get(key) for key in kept},
    }


def events(request: Mapping[str, Any], chat: Mapping[str, Any]) -> Iterator[Json]:
    """The events of a streamed response, without their numbers."""
    whole = response(request, chat)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(chat) if chunk["choices"]]
    for place, item in enumerate(whole["output"]):
        if item["type"] == "message":
            said = [delta["content"] for delta in deltas if delta.get("content")]
            yield from _message_events(item, place, said)
        else:
            calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
            args = [each["function"]["arguments"] for each in calls if each["index"] == place]
            yield from _call_events(item, place, args)
    yield {"type": "response.completed", "response": whole}


def _message_events(item: Json, place: int, said: list[str]) -> Iterator[Json]:
    [part] = item["content"]
    opened = {**item, "status": "in_progress", "content": []}
    where = {"item_id": item["id"], "output_index": place, "content_index": 0}
    yield {"type": "response.output_item.added", "output_index": place, "item": opened}
    yield {"type": "response.content_part.added", **where, "part": {**part, "text": ""}}
    for text in said:
        yield {"type": "response.output_text.delta", **where, "delta": text, "logprobs": []}
    yield {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": part}
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


def _call_events(item: Json, place: int, arguments: list[str]) -> Iterator[Json]:
    opened = {**item, "status": "in_progress", "arguments": ""}
    where = {"item_id": item["id"], "output_index": place}
    done = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": "response.output_item.added", "output_index": place, "item": opened}
    for text in arguments:
        if text:
            yield {"type": "response.function_call_arguments.delta", **where, "delta": text}
    yield {"type": "response.function_call_arguments.done", **where, **done}
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


class VendorServer:
    """The ASGI app."""

    def __init__(self) -> None:
        self._replay = ReplayServer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/v1/responses":
            await self._replay(scope, receive, send)
            return
        body = bytearray()
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message.get("body", b"")
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        seen = Seen("req_r", scope["path"], headers, body.decode())
        self._replay.log.requests.append(seen)
        request = orjson.loads(body)
        try:
            chat = as_chat(request)
            told = script(chat)
        except (ValueError, KeyError) as error:
            await _send(send, 400, b"application/json", error_body(repr(error)))
            return
        if request.get("stream"):
            fault = told.fault
            hang = fault.after + _OPENING if fault and fault.kind == "hang" else None
            await _stream(receive, send, seen, list(events(request, chat)), hang)
        else:
            await _send(send, 200, b"application/json", orjson.dumps(response(request, chat)))
            _end(seen, "answered")


async def _stream(
    receive: Receive, send: Send, seen: Seen, said: list[Json], hang: int | None
) -> None:
    """Send the events; before number `hang`, wait until the caller hangs up."""
    await _send(send, 200, b"text/event-stream", b"", more=True)
    for number, event in enumerate(said):
        if number == hang:
            await receive()
            _end(seen, "hung up")
            return
        raw = orjson.dumps({**event, "sequence_number": number})
        framed = b"event: %b\ndata: %b\n\n" % (event["type"].encode(), raw)
        await send({"type": "http.response.body", "body": framed, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    _end(seen, "answered")


async def _send(send: Send, status: int, kind: bytes, body: bytes, *, more: bool = False) -> None:
    headers = [(b"content-type", kind)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if body or not more:
        await send({"type": "http.response.body", "body": body, "more_body": more})


def _end(seen: Seen, how: str) -> None:
    seen.ended, seen.ended_at = how, time.monotonic()


@click.command()
@click.option("--port", type=int, required=True)
def main(port: int) -> None:
    """Serve until the process is ended."""
    uvicorn.run(
        VendorServer(), host="127.0.0.1", port=port, log_level="critical",
        access_log=False, lifespan="off",
    )  # fmt: skip


if __name__ == "__main__":
    main()
