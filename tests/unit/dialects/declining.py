"""Refusals as the lenses are given them, and streams as far as they had come."""

from __future__ import annotations

from typing import Any

from gateway.core.answer import Event
from gateway.core.declined import Declined, Manner
from gateway.core.errors import Code, Denied
from gateway.core.money import Usage

WORDS = "Ask ann."


def no(how: str, usage: Usage | None = None) -> Declined:
    """A refusal that is told in this way."""
    why = Denied(Code.CONTENT_FILTER, "no")
    return Declined(why, Manner(how), WORDS, "exc_1", "gpt-x", 7, usage)


def events(*told: dict[str, Any]) -> list[Event]:
    return [Event(data) for data in told]


def data(said: Any) -> list[dict[str, Any]]:
    """What events hold."""
    return [event.data for event in said]
