"""An answer of the Messages API: where its text is, and how it folds into a whole and back.

A block's text, thinking and `input` come in pieces; they are lanes of the block's own group,
its index. All other text stands whole in its event; its lanes end with the event, in one group
of their own. Source: Anthropic's API reference, "Messages" and "Streaming Messages".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import orjson

from gateway.core.answer import Event, Lane, Run
from gateway.core.money import Usage
from gateway.dialects.json_values import APART, JsonRun, loose, value_of
from gateway.dialects.messages_texts import structural, texts, words_of

_LANES = {"text": "content", "thinking": "thinking"}
"""The lane of each text of a block; `content` is what structured output makes JSON."""
_DELTAS = {
    "text_delta": ("text", "content"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("partial_json", "input"),
}
"""The member of a delta that holds its text, and the text's lane."""
_KINDS = {lane: (kind, member) for kind, (member, lane) in _DELTAS.items()}
_DELTA_EVENT = frozenset({"type", "index", "delta"})
_MESSAGE_WORDS = frozenset(
    {
        *("id", "type", "role", "model", "stop_reason"),
        *("service_tier", "inference_geo", "speed", "category"),
    }
)
"""Members of a message, its usage and its ending that are structure where they hold a word."""
_ENDING = ("stop_reason", "stop_sequence", "stop_details")
_IN_TOTAL = ("message", "fallback_message")
"""Entries of `usage.iterations` that the totals count already."""


def well_formed(answer: dict[str, Any]) -> bool:
    """Whether an answer, or an event of a stream, is such that its text can be found."""
    match answer:
        case {"type": "message"}:
            return _has_blocks(answer)
        case {"type": "message_start"}:
            return isinstance(answer.get("message"), dict) and _has_blocks(answer["message"])
        case {"type": "content_block_start"}:
            return _has_index(answer) and _is_block(answer.get("content_block"))
        case {"type": "content_block_delta"}:
            return _has_index(answer) and _is_block(answer.get("delta"))
        case {"type": "content_block_stop"}:
            return _has_index(answer)
        case {"type": "message_delta"}:
            return isinstance(answer.get("delta"), dict)
        case {"type": str() as kind}:
            return kind.isidentifier() and kind.isascii()
        case _:
            return False


def _has_blocks(message: dict[str, Any]) -> bool:
    content = message.get("content")
    return isinstance(content, list) and all(_is_block(block) for block in content)


def _is_block(block: Any) -> bool:
    return isinstance(block, dict) and isinstance(block.get("type"), str)


def _has_index(event: dict[str, Any]) -> bool:
    index = event.get("index")
    return isinstance(index, int) and not isinstance(index, bool) and index >= 0


# Where text stands


def runs(event: Event) -> Iterator[Run]:
    """Every text of an event or a whole answer."""
    data = event.data
    match data.get("type"):
        case "message":
            yield from _message_runs(data)
        case "message_start":
            yield from _message_runs(data["message"])
            yield from _apart(data, "event", ("type", "message"), _MESSAGE_WORDS)
        case "content_block_start":
            yield from _block_runs(data["content_block"], data["index"], streamed=True)
            yield from _apart(data, "event", ("type", "index", "content_block"), _MESSAGE_WORDS)
        case "content_block_delta":
            yield from _delta_runs(data["delta"], data["index"])
            if data.keys() - _DELTA_EVENT:
                yield from _apart(data, "event", _DELTA_EVENT, _MESSAGE_WORDS)
        case "message_delta":
            yield from _apart(data["delta"], "delta", (), _MESSAGE_WORDS)
            yield from _apart(data, "event", ("type", "delta"), _MESSAGE_WORDS)
        case _:
            yield from _apart(data, "event", ("type", "index"), _MESSAGE_WORDS)


def _message_runs(message: dict[str, Any]) -> Iterator[Run]:
    for index, block in enumerate(message.get("content") or ()):
        yield from _block_runs(block, index, streamed=False)
    yield from _apart(message, "message", ("content",), _MESSAGE_WORDS)


def _block_runs(block: dict[str, Any], index: int, *, streamed: bool) -> Iterator[Run]:
    """The texts of a block, whole or as it starts. A call that starts without its input waits
    for it."""
    told = {"type"}
    for name, lane in _LANES.items():
        if isinstance(block.get(name), str):
            told.add(name)
            yield Run(Lane(index, lane), block, name)
    if isinstance(block.get("input"), dict):
        told.add("input")
        opens = streamed and not block["input"]
        group, name = (index, "input") if opens or not streamed else (APART, f"{index}/input")
        yield JsonRun(Lane(group, name, json=True), block, "input", opens=opens)
    yield from _apart(block, str(index), told, words_of(block))


def _delta_runs(delta: dict[str, Any], index: int) -> Iterator[Run]:
    member, lane = _DELTAS.get(delta["type"], ("", ""))
    if isinstance(delta.get(member), str):
        yield Run(Lane(index, lane, json=lane == "input"), delta, member)
        if len(delta) > 2:
            yield from _apart(delta, str(index), ("type", member), words_of(delta))
    else:
        yield from _apart(delta, str(index), ("type",), words_of(delta))


def _apart(
    holder: dict[str, Any], place: str, told: Collection[str], words: frozenset[str]
) -> Iterator[Run]:
    """The texts of the members that are not `told` of; each stands whole where it is.

    Their lanes are numbered, since names may be the model's own words.
    """
    for at, name in enumerate(holder):
        if name not in told and not structural(holder, name, words):
            for number, (inner, key) in enumerate(texts(holder, name, words)):
                yield loose(f"{place}#{at}.{number}", inner, key)


def ended(event: Event) -> list[int]:
    """The blocks that end with an event; and what stands whole in it."""
    data = event.data
    if data.get("type") == "content_block_stop":
        return [data["index"], APART]
    if _piece(data) is not None:
        return []
    if data.get("type") == "content_block_start" and "input" in data["content_block"]:
        return [APART]  # it may have been emptied, for the end of it to be put back
    return [APART] if any(run.lane.group == APART for run in runs(event)) else []


def says_text(event: Event) -> bool:
    """Whether any text is left. A call whose input was stopped says nothing, name and all."""
    block = event.data.get("content_block")
    if isinstance(block, dict) and isinstance(block.get("input"), dict) and not block["input"]:
        return False
    return any(run.text for run in runs(event))


def say(lane: Lane, text: str) -> Event:
    """A `content_block_delta` that says `text` on `lane`."""
    kind, member = _KINDS[lane.name]
    delta = {"type": kind, member: text}
    return Event({"type": "content_block_delta", "index": lane.group, "delta": delta})


def says_nothing(event: Event) -> bool:
    """Whether an event is a delta of nothing but emptied text."""
    return _piece(event.data) == ""


def _piece(data: dict[str, Any]) -> str | None:
    """The text of an event that is a piece of a block's text and nothing else."""
    if data.get("type") != "content_block_delta" or data.keys() - _DELTA_EVENT:
        return None
    delta = data["delta"]
    text = delta.get(_DELTAS.get(delta["type"], ("", ""))[0])
    return text if isinstance(text, str) and len(delta) == 2 else None


# How much was used


def usage(event: Event) -> Usage | None:
    """The count, cached tokens included: exact in a whole answer and in `message_delta`.

    `message_start` knows what was read and not yet what will be said, so its count is none to
    settle by. A `message_delta` may leave out what was read, which then counts as zero here.
    """
    match event.data:
        case {"type": "message", "usage": dict(said)}:
            return _usage(said, exact=True)
        case {"type": "message_start", "message": {"usage": dict(said)}}:
            return _usage(said, exact=False)
        case {"type": "message_delta", "usage": dict(said)}:
            return _usage({"input_tokens": 0, **said}, exact=True)
        case _:
            return None


def _usage(said: dict[str, Any], *, exact: bool) -> Usage | None:
    more = [
        entry
        for entry in said.get("iterations") or ()
        if isinstance(entry, dict) and entry.get("type") not in _IN_TOTAL
    ]
    match said:
        case {"input_tokens": int(), "output_tokens": int()}:
            counts = [said, *more]
            read = sum(_tokens(count, name) for count in counts for name in _READ)
            return Usage(read, sum(_tokens(count, "output_tokens") for count in counts), exact)
        case _:
            return None


_READ = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def _tokens(count: dict[str, Any], name: str) -> int:
    value = count.get(name)
    return max(value, 0) if isinstance(value, int) else 0


# A stream and its whole


def fold(events: Sequence[Event]) -> dict[str, Any]:
    """The message that the events amount to."""
    if len(events) == 1 and events[0].whole:
        return events[0].data
    message: dict[str, Any] = {"type": "message", "role": "assistant"}
    blocks: dict[int, dict[str, Any]] = {}
    inputs: dict[int, str] = {}
    for event in events:
        data = event.data
        match data.get("type"):
            case "message_start":
                message |= data["message"]
            case "content_block_start":
                blocks[data["index"]] = dict(data["content_block"])
            case "content_block_delta":
                _fold_delta(blocks.setdefault(data["index"], {}), inputs, data)
            case "message_delta":
                _fold_ending(message, data)
    for index, text in inputs.items():
        if text:
            blocks[index]["input"] = value_of(text)
    return message | {"content": [blocks[index] for index in sorted(blocks)]}


def _fold_delta(block: dict[str, Any], inputs: dict[int, str], data: dict[str, Any]) -> None:
    delta, index = data["delta"], data["index"]
    for name, value in delta.items():
        if name == "partial_json" and isinstance(value, str):
            inputs[index] = inputs.get(index, "") + value
        elif name in _LANES and isinstance(value, str) and isinstance(block.get(name), str):
            block[name] += value
        elif name == "citation":
            block["citations"] = [*(block.get("citations") or ()), value]
        elif name != "type":
            block[name] = value


def _fold_ending(message: dict[str, Any], data: dict[str, Any]) -> None:
    message |= data["delta"]
    for name, value in data.items():
        if name == "usage" and isinstance(value, dict) and isinstance(message.get(name), dict):
            counted = {key: count for key, count in value.items() if count is not None}
            message[name] = message[name] | counted
        elif name not in ("type", "delta"):
            message[name] = value


def unfold(answer: dict[str, Any]) -> list[Event]:
    """A whole message as the events of a stream."""
    ending = {name: answer[name] for name in _ENDING if name in answer}
    head = answer | dict.fromkeys(ending) | {"content": []}
    said: list[dict[str, Any]] = [{"type": "message_start", "message": head}]
    for index, block in enumerate(answer.get("content") or ()):
        start, deltas = _pieces(block)
        said.append({"type": "content_block_start", "index": index, "content_block": start})
        said += [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
        said.append({"type": "content_block_stop", "index": index})
    counted = {"usage": answer["usage"]} if "usage" in answer else {}
    said += [{"type": "message_delta", "delta": ending, **counted}, {"type": "message_stop"}]
    return [Event(data) for data in said]


def _pieces(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it starts, and what comes after."""
    start = dict(block)
    deltas: list[dict[str, Any]] = []
    if isinstance(block.get("input"), dict) and block["input"]:
        start["input"] = {}
        text = orjson.dumps(block["input"]).decode()
        deltas.append({"type": "input_json_delta", "partial_json": text})
    for name in _LANES:
        if isinstance(block.get(name), str):
            start[name] = ""
            deltas.append({"type": f"{name}_delta", name: block[name]})
    if isinstance(block.get("signature"), str) and block["type"] == "thinking":
        start["signature"] = ""
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    if isinstance(block.get("citations"), list) and block["citations"]:
        start["citations"] = []
        deltas += [{"type": "citations_delta", "citation": item} for item in block["citations"]]
    return start, deltas
