"""The stage directions of the replay provider.

The last user message may begin with lines of this form; what follows them is what is said.

    @replay say "text"                    answer with this text (a JSON string)
    @replay refuse "text"                 refuse with this text
    @replay tool NAME {"json": "object"}  call a tool; more lines call more, in one answer
    @replay chunk N                       stream N characters at a time, not words
    @replay slow SECONDS                  wait so long before each chunk
    @replay no-done                       leave `[DONE]` out
    @replay status CODE [retry-after S]   answer with this HTTP error
    @replay die[-after N]                 after N chunks, break the connection
    @replay hang[-after N]                after N chunks, say nothing more
    @replay malformed[-after N]           after N chunks, send what is not JSON
    @replay error[-after N]               after N chunks, send an error object

N is 0 where it is not given. An answer that is not streamed suffers its fault at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong once `after` chunks were sent."""

    kind: str
    """`die`, `hang`, `malformed` or `error`."""
    after: int


@dataclass(frozen=True, slots=True)
class Script:
    """What the directions ask for. Times in seconds."""

    say: str | None = None
    refuse: str | None = None
    tools: tuple[tuple[str, str], ...] = ()
    """Name and arguments, as JSON text, of each call."""
    chunk: int | None = None
    slow: float | None = None
    done: bool = True
    status: int | None = None
    retry_after: float | None = None
    fault: Fault | None = None


_LINE = re.compile(r"@replay[ \t]+(\S+)[ \t]*(.*?)[ \t\r]*(?:\n|\Z)")
_STATUS = re.compile(r"([45]\d\d)(?:[ \t]+retry-after[ \t]+(\d+(?:\.\d+)?))?")
_FAULT = re.compile(r"(die|hang|malformed|error)(?:-after (\d+))?")


def parse(text: str) -> tuple[Script, str]:
    """The directions at the start of `text`, and the text after them.

    Raises `ValueError` for a line that is none of the directions.
    """
    told: dict[str, Any] = {}
    at = 0
    while line := _LINE.match(text, at):
        verb, rest = line.groups()
        try:
            told |= _told(verb, rest, told)
        except ValueError as error:
            raise ValueError(f"not a direction: @replay {verb} {rest}") from error
        at = line.end()
    return Script(**told), text[at:]


def _told(verb: str, rest: str, before: dict[str, Any]) -> dict[str, Any]:
    """What one direction sets. Raises `ValueError` (JSON errors are some)."""
    match verb:
        case "say" | "refuse":
            return {verb: _json(rest, str)}
        case "tool":
            name, _, arguments = rest.partition(" ")
            _json(arguments, dict)
            return {"tools": (*before.get("tools", ()), (name, arguments.strip()))}
        case "chunk":
            return {"chunk": max(1, int(rest))}
        case "slow":
            return {"slow": min(60.0, max(0.0, float(rest)))}
        case "no-done" if not rest:
            return {"done": False}
        case "status" if match := _STATUS.fullmatch(rest):
            return {"status": int(match[1]), "retry_after": float(match[2]) if match[2] else None}
        case _ if match := _FAULT.fullmatch(f"{verb} {rest}".strip()):
            return {"fault": Fault(match[1], int(match[2] or 0))}
        case _:
            raise ValueError(verb)


def _json(text: str, kind: type) -> Any:
    value = orjson.loads(text)
    if not isinstance(value, kind):
        raise ValueError(f"not a {kind.__name__}")
    return value
