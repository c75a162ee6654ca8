"""A chat answer: where its text is, and how pieces fold into a whole and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gateway.core.answer import Event, Lane, Run
from gateway.dialects.answer_texts import with_loose, without_repeated
from gateway.dialects.chat_shape import CALL_TEXTS
from gateway.dialects.json_values import APART

TEXTS = ("content", "refusal", "reasoning_content", "reasoning")
_DETAILS = ("text", "summary")
_LIST_LOGPROBS = ("content", "refusal")
_HEAD = ("id", "created", "model", "system_fingerprint", "service_tier")
"""Members that every chunk of an answer repeats."""
_ENVELOPE = frozenset({*_HEAD, "object", "choices", "usage"})
_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})
_CALL = frozenset({"index", "id", "type", "function", "custom"})
"""Members that are no loss when a chunk has nothing left to say."""


def choices(event: Event) -> list[dict[str, Any]]:
    """The choices of an event, each with an index."""
    listed = event.data.get("choices") or []
    for place, choice in enumerate(listed):
        choice.setdefault("index", place)
    return listed


def runs(event: Event) -> list[Run]:
    """Every text of an event: what is streamed, then what stands whole in it."""
    if not event.whole:
        without_repeated(event)
    return with_loose(event, list(_streamed(event)))


def ended(event: Event) -> list[int]:
    """The choices that end with an event; and what stands whole in it."""
    groups = [choice["index"] for choice in choices(event) if choice.get("finish_reason")]
    apart = any(run.lane.group == APART for run in runs(event))
    return [*groups, APART] if apart else groups


def _streamed(event: Event) -> Iterator[Run]:
    """Content, refusal, reasoning, transcript, tool arguments."""
    for choice in choices(event):
        said = choice.get("message") if event.whole else _said(choice)
        if isinstance(said, dict):
            yield from _runs_of(choice["index"], said)
            yield from _call_runs(choice["index"], said, None if event.whole else said)


def _said(piece: dict[str, Any]) -> Any:
    """What a choice of a stream says: its delta, or a message where it has none."""
    return piece.get("message") if piece.get("delta") is None else piece["delta"]


def _runs_of(group: int, said: dict[str, Any]) -> Iterator[Run]:
    for name in TEXTS:
        value = said.get(name)
        if isinstance(value, str):
            yield Run(Lane(group, name), said, name)
        elif isinstance(value, list):
            for part in _text_parts(value):
                yield Run(Lane(group, name), part, "text")
    details = said.get("reasoning_details")
    for place, detail in enumerate(details if isinstance(details, list) else ()):
        yield from _detail_runs(group, place, detail)
    audio = said.get("audio")
    if isinstance(audio, dict) and isinstance(audio.get("transcript"), str):
        yield Run(Lane(group, "transcript"), audio, "transcript")
    legacy = said.get("function_call")
    if isinstance(legacy, dict) and isinstance(legacy.get("arguments"), str):
        yield Run(Lane(group, "function_call/arguments", json=True), legacy, "arguments")


def _detail_runs(group: int, place: int, detail: Any) -> Iterator[Run]:
    """Reasoning as OpenRouter cuts it: each piece says which entry it goes on with."""
    if isinstance(detail, dict):
        index = detail.get("index")
        index = index if type(index) is int else place
        for key in _DETAILS:
            if isinstance(detail.get(key), str):
                yield Run(Lane(group, f"reasoning_details/{index}/{key}"), detail, key)


def _call_runs(group: int, said: dict[str, Any], owner: dict[str, Any] | None) -> Iterator[Run]:
    """The arguments of tool calls; `owner` is the delta that they may be taken out of."""
    for place, call in enumerate(list(said.get("tool_calls") or ())):
        for form, key in CALL_TEXTS:
            holder = call.get(form)
            if isinstance(holder, dict):
                holder.setdefault(key, "")  # some leave it out of a call's first piece
                name = f"tool_calls/{call.get('index', place)}/{form}/{key}"
                lane = Lane(group, name, json=key == "arguments")
                if isinstance(holder[key], str):
                    yield Run(lane, holder, key, owner=owner, call=call, form=form)


def _text_parts(parts: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Content given as parts, as some providers do; thinking parts hold parts themselves."""
    for part in parts:
        if isinstance(part, dict):
            if isinstance(part.get("text"), str):
                yield part
            if isinstance(part.get("thinking"), list):
                yield from _text_parts(part["thinking"])


def say(lane: Lane, text: str, like: Event | None) -> Event:
    """A chunk that says `text` on `lane`, with the ids of `like`.

    Text that stands whole in its event is never said apart from it.
    """
    kept = {} if like is None else like.data
    head = {key: kept[key] for key in _HEAD if key in kept}
    delta: dict[str, Any]
    match lane.name.split("/"):
        case ["tool_calls", index, form, member]:
            delta = {"tool_calls": [{"index": int(index), form: {member: text}}]}
        case ["function_call", member]:
            delta = {"function_call": {member: text}}
        case ["reasoning_details", index, member]:
            detail = {"type": f"reasoning.{member}", "index": int(index), member: text}
            delta = {"reasoning_details": [detail]}
        case ["transcript"]:
            delta = {"audio": {"transcript": text}}
        case _:
            delta = {lane.name: text}
    choice = {"index": lane.group, "delta": delta, "finish_reason": None}
    said = [] if lane.group == APART else [choice]
    return Event(head | {"object": "chat.completion.chunk", "choices": said})


def says_nothing(event: Event) -> bool:
    """Whether a chunk has no usage, no ending, and nothing but emptied text in its deltas.

    A member that we do not know may say something.
    """
    if event.data.get("usage") or not event.data.get("choices") or _more(event.data, _ENVELOPE):
        return False
    return all(_silent(choice) for choice in event.data["choices"])


def _more(holder: dict[str, Any], known: frozenset[str]) -> bool:
    return any(value is not None for key, value in holder.items() if key not in known)


def _silent(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta") or {}
    if (
        _more(choice, _CHOICE)
        or choice.get("finish_reason")
        or any(value for key, value in delta.items() if key != "tool_calls")
    ):
        return False
    return not any(
        _more(call, _CALL) or call.get("id")
        or (call.get("function") or call.get("custom") or {}).get("name")
        or any((call.get(form) or {}).get(text) for form, text in CALL_TEXTS)
        for call in delta.get("tool_calls") or ()
    )  # fmt: skip


_PIECES = frozenset({"arguments", "input", "transcript", "data"})


def fold(events: Sequence[Event]) -> dict[str, Any]:
    """The `chat.completion` that the events amount to."""
    if len(events) == 1 and events[0].whole:
        return events[0].data
    body: dict[str, Any] = {}
    folded: dict[int, dict[str, Any]] = {}
    for event in events:
        body |= {key: value for key, value in event.data.items() if value is not None}
        for piece in choices(event):
            _fold_choice(folded.setdefault(piece["index"], _unsaid(piece["index"])), piece)
    ordered = [folded[index] for index in sorted(folded)]
    return body | {"object": "chat.completion", "choices": ordered}


def _unsaid(index: int) -> dict[str, Any]:
    """A choice with what the API promises of every one, also where a provider streams less."""
    message = {"role": "assistant", "content": None, "refusal": None}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": None}


def _fold_choice(choice: dict[str, Any], piece: dict[str, Any]) -> None:
    said = _said(piece)
    for key, value in piece.items():
        if key in ("delta", "message"):
            if value is not None and value is said:
                _fold_message(choice["message"], value)
        elif key == "logprobs":
            choice[key] = _fold_logprobs(choice.get(key), value)
        elif value is not None or key not in choice:
            choice[key] = value


def _fold_message(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            for place, piece in enumerate(value or ()):
                calls = message.setdefault("tool_calls", [])
                _fold_call(calls, piece, piece.get("index", place))
        elif isinstance(value, dict) and isinstance(message.get(key), dict):
            _fold_member(message[key], value)
        elif _follows(key in TEXTS, message.get(key), value):
            message[key] = message[key] + value
        elif value is not None or key not in message:
            message[key] = value


def _follows(in_pieces: bool, before: Any, value: Any) -> bool:
    """Whether a value goes on from the one before: text that comes in pieces, or a list."""
    kind = str if in_pieces and isinstance(value, str) else list
    return isinstance(value, kind) and isinstance(before, kind)


def _fold_call(calls: list[dict[str, Any]], piece: dict[str, Any], index: int) -> None:
    while len(calls) <= index:
        calls.append({})
    _fold_member(calls[index], {key: item for key, item in piece.items() if key != "index"})


def _fold_member(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    for key, value in piece.items():
        if isinstance(value, dict) and isinstance(whole.get(key), dict):
            _fold_member(whole[key], value)
        elif _follows(key in _PIECES, whole.get(key), value):
            whole[key] = whole[key] + value
        elif isinstance(value, dict):
            whole[key] = dict(value)
        elif value is not None:
            whole[key] = value


def _fold_logprobs(whole: Any, piece: Any) -> Any:
    if not isinstance(whole, dict) or not isinstance(piece, dict):
        return piece if piece is not None else whole
    joined = {
        name: [*(whole.get(name) or ()), *(piece.get(name) or ())]
        for name in _LIST_LOGPROBS
        if whole.get(name) is not None or piece.get(name) is not None
    }
    return whole | piece | joined


def unfold(answer: dict[str, Any], *, with_usage: bool) -> list[Event]:
    """A whole answer as the chunks of a stream; usage comes last where it is asked for."""
    head = {key: item for key, item in answer.items() if key not in ("choices", "usage")}
    head["object"] = "chat.completion.chunk"
    events: list[Event] = []
    for choice in answer.get("choices") or ():
        rest = {key: item for key, item in choice.items() if key not in ("message", "logprobs")}
        said = {"finish_reason": None, "logprobs": choice.get("logprobs")}
        piece = rest | said | {"delta": _delta(choice.get("message") or {})}
        ending = rest | {"delta": {}}
        events += [Event(head | {"choices": [piece]}), Event(head | {"choices": [ending]})]
    if with_usage and answer.get("usage"):
        events.append(Event(head | {"choices": [], "usage": answer["usage"]}))
    return events


def _delta(message: dict[str, Any]) -> dict[str, Any]:
    delta = dict(message)
    if message.get("tool_calls"):
        delta["tool_calls"] = [
            {"index": index} | call for index, call in enumerate(message["tool_calls"])
        ]
    return delta
