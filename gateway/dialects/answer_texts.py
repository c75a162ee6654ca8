"""The texts of an OpenAI answer that stand outside its streamed members: they are read too.

Every string is text, also in members that are not known here, and so is every name that no API
would give; but for names and ids that look like one, for bytes that spell nothing, and for what
spells the text out, which is dropped wherever text is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from gateway.core.answer import Event, Run
from gateway.dialects.json_values import has_own_names, loose
from gateway.dialects.sealed import is_base64, is_data_url
from gateway.dialects.vocabulary import is_token

_SPELLED = frozenset({"logprobs", "prompt_logprobs", "token_ids", "prompt_token_ids"})
"""Members that spell the text out: OpenAI's, and those that vLLM adds."""
_STRUCTURE = frozenset(
    {"id", "type", "role", "model", "object", "name", "format", "finish_reason", "call_id"}
    | {"native_finish_reason", "tool_call_id", "request_id", "system_fingerprint"}
    | {"service_tier", "provider", "severity", "obfuscation"}
)
"""Members that are names and ids where they look like one."""
_SOUND = re.compile(r"[A-Za-z0-9+/=]*", re.ASCII)
"""A piece of a recording, of any length."""


def with_loose(event: Event, known: Sequence[Run]) -> list[Run]:
    """The `known` runs of an event, and after them a run for every other text in it."""
    told = {(id(run.holder), run.key) for run in known}
    others = [
        loose(f"#{number}", holder, key)
        for number, (holder, key) in enumerate(_texts(event.data, told, ""))
    ]
    return [*known, *others]


def unspell(value: Any) -> bool:
    """Make null whatever in `value` spells text out; True when there was any."""
    found = False
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in _SPELLED and inner:
                value[name], found = None, True
            elif isinstance(inner, dict | list):
                found = unspell(inner) or found
    elif isinstance(value, list):
        found = any([unspell(inner) for inner in value])
    return found


def without_repeated(event: Event) -> None:
    """Take `message` out where a piece of a stream has it beside what the piece says.

    Some providers repeat there all that was said so far.
    """
    for choice in event.data.get("choices") or ():
        spoken = choice.get("delta") is not None or choice.get("text") is not None
        if spoken and "message" in choice:
            del choice["message"]
            event.edited()


def _texts(holder: Any, told: set[tuple[int, Any]], inside: str) -> Iterator[tuple[Any, Any]]:
    """The places of the strings in `holder`, the value of the member `inside`, however deep; and
    of objects whose names are somebody's own, which are read as a whole."""
    for key in holder if isinstance(holder, dict) else range(len(holder)):
        value = holder[key]
        if isinstance(value, str):
            if (id(holder), key) not in told and not _unspoken(key, value, inside):
                yield holder, key
        elif isinstance(value, dict | list) and key not in _SPELLED:
            own = isinstance(value, dict) and has_own_names(value)
            if own and not _holds(value, {place for place, _ in told}):
                yield holder, key
            else:
                yield from _texts(value, told, key if isinstance(key, str) else inside)


def _holds(value: Any, holders: set[int]) -> bool:
    """Whether one of the objects `holders`, by their ids, is or stands in `value`."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return id(value) in holders or any(_holds(item, holders) for item in inner)
    return False


def _unspoken(key: Any, value: str, inside: str) -> bool:
    if not isinstance(key, str):
        return False
    if key in _STRUCTURE:
        return is_token(value)
    if key == "url":
        return is_data_url(value)
    if inside == "audio" and key == "data" and _SOUND.fullmatch(value):
        return True
    sealed = key in ("data", "b64_json") or key.endswith("signature") or "encrypted" in key
    return sealed and is_base64(value)
