"""Saying no by an answer, where a policy does not want its applications to meet an error."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.core.errors import GatewayError
from gateway.core.money import Usage


class Manner(StrEnum):
    """How an answer says no: in the API's own way of filtering, as a refusal, or in plain text."""

    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True)
class RespondWith:
    """What a rule wants the caller to be told; without a `message`, what the error would say."""

    how: Manner
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """A refusal that is told as an answer of `model`, made at `created` (Unix seconds)."""

    why: GatewayError
    how: Manner
    text: str
    id: str
    model: str
    created: int
    usage: Usage | None
    """What was used, as far as it is known."""
