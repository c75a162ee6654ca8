"""`POST /v1/completions`: text that goes on from a prompt.

Source: OpenAI's API reference, "Completions" (object `text_completion`, whole and streamed).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.core.answer import Event, Lane, Run
from gateway.core.declined import Declined, Manner
from gateway.core.errors import Malformed
from gateway.core.passages import Slot
from gateway.dialects import chat_answer, chat_shape, fields
from gateway.dialects.answer_texts import unspell, with_loose, without_repeated
from gateway.dialects.choices import Choices
from gateway.dialects.declined_choices import Form, break_off, whole
from gateway.dialects.json_values import APART

MOST_CHOICES = 128
DEFAULT_LIMIT = 16
"""`max_tokens` where the caller sends none, as the API reference says."""

_TYPES: fields.Types = {
    "suffix": (str,),
    "stop": (str, list),
    "stream": (bool,),
    "stream_options": (dict,),
    "echo": (bool,),
    "n": (int,),
    "best_of": (int,),
    "max_tokens": (int,),
    "user": (str,),
}
_KNOWN = frozenset({"prompt", *_TYPES})
_HIDDEN = ("prompt_embeds", "prompt_token_ids")
"""Members by which some servers take a prompt that is no text."""

_TEXTS = ("text", "reasoning_content", "reasoning")
_HEAD = ("id", "created", "model", "system_fingerprint")
_ENVELOPE = frozenset({*_HEAD, "object", "choices", "usage"})
_CHOICE = frozenset({"index", "finish_reason", *_TEXTS})


class Completions(Choices):
    """The lens of text completions. It keeps no state."""

    action = "completions.create"
    asks = "prompt"

    # The request
    def check(self, body: object) -> dict[str, Any]:
        request = fields.checked(body, _TYPES)
        if request.get("prompt") is not None:
            fields.texts(request["prompt"], "prompt")
        for name in _HIDDEN:
            if request.get(name) is not None:
                raise Malformed(f"'{name}' is no text, and cannot be governed.", param=name)
        fields.between(request.get("n"), 1, MOST_CHOICES, "n")
        fields.between(request.get("best_of"), 1, MOST_CHOICES, "best_of")
        fields.between(request.get("max_tokens"), 0, 2**31, "max_tokens")
        return request

    def streams(self, request: dict[str, Any]) -> bool:
        return request.get("stream") is True

    def slots(self, request: dict[str, Any]) -> Sequence[Slot]:
        return list(fields.slots(request, _KNOWN))

    def output_limit(self, request: dict[str, Any]) -> int:
        limit = request.get("max_tokens")
        return DEFAULT_LIMIT if limit is None else limit

    def limit_output(self, request: dict[str, Any], most: int) -> None:
        request["max_tokens"] = min(most, self.output_limit(request))

    def choices(self, request: dict[str, Any]) -> int:
        """What is written and billed, though `best_of` returns only some of it."""
        return _prompts(request) * max(request.get("n") or 1, request.get("best_of") or 1)

    def count_usage(self, request: dict[str, Any]) -> bool:
        options = request.get("stream_options") or {}
        if not self.streams(request) or options.get("include_usage"):
            return False
        request["stream_options"] = {**options, "include_usage": True}
        return True

    # The answer
    def well_formed(self, answer: dict[str, Any]) -> bool:
        return chat_shape.indexed(answer.get("choices")) and all(
            isinstance(choice.get(name), str | None)
            for choice in answer.get("choices") or ()
            for name in _TEXTS
        )

    def complete(self, request: Mapping[str, Any], ended: Collection[int], last: Event) -> bool:
        return set(range(_wanted(request))).issubset(ended)

    def runs(self, event: Event) -> Sequence[Run]:
        if not event.whole:
            without_repeated(event)
        return with_loose(event, list(_streamed(event)))

    def ended(self, event: Event) -> Collection[int]:
        groups = [c["index"] for c in chat_answer.choices(event) if c.get("finish_reason")]
        apart = any(run.lane.group == APART for run in self.runs(event))
        return [*groups, APART] if apart else groups

    def say(self, lane: Lane, text: str, like: Event | None) -> Event:
        kept = {} if like is None else like.data
        choice = {"index": lane.group, "text": "", "logprobs": None, "finish_reason": None}
        head = {name: kept[name] for name in _HEAD if name in kept}
        said = [] if lane.group == APART else [choice | {lane.name: text}]
        return Event(head | {"object": "text_completion", "choices": said})

    def unspell(self, event: Event) -> bool:
        return unspell(event.data)

    def unend(self, event: Event) -> None:
        for choice in chat_answer.choices(event):
            choice["finish_reason"] = None
        event.data.pop("usage", None)
        event.edited()

    def hollow(self, event: Event) -> bool:
        return event.raw is None and not event.whole and _says_nothing(event.data)

    def fold(self, events: Sequence[Event]) -> dict[str, Any]:
        if len(events) == 1 and events[0].whole:
            return events[0].data
        body: dict[str, Any] = {}
        folded: dict[int, dict[str, Any]] = {}
        for event in events:
            body |= {name: value for name, value in event.data.items() if value is not None}
            for piece in chat_answer.choices(event):
                _fold_choice(folded.setdefault(piece["index"], {"text": ""}), piece)
        return body | {"choices": [folded[index] for index in sorted(folded)]}

    def unfold(self, answer: dict[str, Any], request: dict[str, Any]) -> Sequence[Event]:
        head = {name: value for name, value in answer.items() if name not in ("choices", "usage")}
        events: list[Event] = []
        for place, choice in enumerate(answer.get("choices") or ()):
            index = {"index": choice.get("index", place)}
            ending = index | {"text": "", "logprobs": None}
            said = Event(head | {"choices": [choice | index | {"finish_reason": None}]})
            end = ending | {"finish_reason": choice.get("finish_reason")}
            events += [said, Event(head | {"choices": [end]})]
        options = request.get("stream_options") or {}
        if options.get("include_usage") and answer.get("usage"):
            events.append(Event(head | {"choices": [], "usage": answer["usage"]}))
        return events

    # Saying no: there is no refusal here but in plain text
    def decline(self, asked: Mapping[str, Any], no: Declined) -> dict[str, Any]:
        text = "" if no.how is Manner.CONTENT_FILTER else no.text
        return whole(no, "text_completion", [{"text": text}] * _wanted(asked))

    def break_off(
        self, asked: Mapping[str, Any], no: Declined, said: Sequence[Event]
    ) -> Sequence[Event]:
        plain = no if no.how is Manner.CONTENT_FILTER else replace(no, how=Manner.MESSAGE)
        return break_off(asked, plain, said, _wanted(asked), Form("text_completion", _piece))


def _piece(text: str | None, first: bool) -> dict[str, Any]:
    return {"text": text or "", "logprobs": None}


def _wanted(asked: Mapping[str, Any]) -> int:
    """How many choices an answer has."""
    return _prompts(asked) * (asked.get("n") or 1)


def _streamed(event: Event) -> Iterator[Run]:
    for choice in chat_answer.choices(event):
        for name in _TEXTS:
            if isinstance(choice.get(name), str):
                yield Run(Lane(choice["index"], name), choice, name)


def _prompts(request: Mapping[str, Any]) -> int:
    prompt = request.get("prompt")
    return len(prompt) if isinstance(prompt, list) else 1


def _says_nothing(data: Mapping[str, Any]) -> bool:
    """Whether an event has no usage, no ending, and nothing but emptied text.

    A member that we do not know may say something.
    """
    if data.get("usage") or not data.get("choices") or _more(data, _ENVELOPE):
        return False
    return not any(
        _more(choice, _CHOICE)
        or choice.get("finish_reason")
        or any(choice.get(name) for name in _TEXTS)
        for choice in data["choices"]
    )


def _more(holder: Mapping[str, Any], known: Collection[str]) -> bool:
    return any(value is not None for name, value in holder.items() if name not in known)


def _fold_choice(choice: dict[str, Any], piece: Mapping[str, Any]) -> None:
    for name, value in piece.items():
        before = choice.get(name)
        if name in _TEXTS and isinstance(value, str):
            choice[name] = (before or "") + value
        elif name == "logprobs" and isinstance(value, dict) and isinstance(before, dict):
            choice[name] = _joined(before, value)
        elif value is not None or name not in choice:
            choice[name] = value


def _joined(before: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Two pieces of `logprobs`: lists by token, which follow each other."""
    lists: Iterable[str] = [name for name in more if isinstance(more[name], list)]
    return {**before, **more} | {name: [*(before.get(name) or ()), *more[name]] for name in lists}
