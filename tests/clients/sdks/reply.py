"""What the applications of the tests have in common: a tool, and a shape to answer in."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Reply(BaseModel):
    """An answer with a shape."""

    said: str
    sure: bool


def send(to: str) -> str:
    """Send a message."""
    return f"sent to {to}"


SEND: dict[str, Any] = {
    "type": "object",
    "properties": {"to": {"type": "string"}},
    "required": ["to"],
    "additionalProperties": False,
}
