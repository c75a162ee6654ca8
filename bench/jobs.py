"""What the load generator is told, and what it says back; JSON between two processes."""

from __future__ import annotations

import msgspec


class Whole(msgspec.Struct, frozen=True, tag="whole"):
    """Ask for whole answers, each connection one at a time, back to back."""

    port: int
    headers: dict[str, str]
    connections: int
    requests: int
    seconds: float
    """No request is begun later than this."""
    first: int = 0
    """The number of the first prompt."""


class Streams(msgspec.Struct, frozen=True, tag="streams"):
    """Ask for streams: `together` at a time, the first ones spread over `spread` seconds."""

    port: int
    headers: dict[str, str]
    streams: int
    together: int
    spread: float
    stall: float
    """A gap between two events that is longer than this many seconds is a stall."""
    seconds: float
    """The whole job is given up after this."""
    first: int = 0


Job = Whole | Streams


class Answers(msgspec.Struct, frozen=True):
    """How whole answers came. Latencies in milliseconds, sorted."""

    seconds: float
    latencies: list[float]
    restored: int
    errors: int
    fault: str | None
    """What the first error was."""


class Streamed(msgspec.Struct, frozen=True):
    """How streams came. Milliseconds, sorted.

    `first_bytes`: from sending the request to reading the first event. `delays`: from the
    upstream's sending an event to reading it; empty where the gateway drops the time stamp.
    """

    seconds: float
    first_bytes: list[float]
    delays: list[float]
    events: int
    stalls: int
    restored: int
    errors: int
    fault: str | None
