"""What inspectors report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    INPUT = "input"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found in a passage. It says where, never what: the text stays behind.

    `start` and `end` count characters of the passage at `where`, a JSON pointer (RFC 6901)
    into the request, or the name of a lane of the answer.
    """

    kind: str  # pii, phrase, secret, injection, opaque …
    label: str  # EMAIL_ADDRESS, or the id of a phrase list
    where: str
    start: int
    end: int
    score: float  # 0 to 1
    direction: Direction = Direction.INPUT
