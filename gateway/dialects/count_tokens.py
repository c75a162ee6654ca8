"""`POST /v1/messages/count_tokens`: a request of messages that asks for no answer.

Its texts reach the provider like any others, so they are governed alike. Source: Anthropic's
API reference, "Count tokens in a Message".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.answer import Event
from gateway.core.declined import Declined
from gateway.core.money import Usage
from gateway.dialects import messages_check
from gateway.dialects.messages import Messages


class CountTokens(Messages):
    """The lens of counting. It keeps no state."""

    action = "messages.count_tokens"

    def check(self, body: object) -> dict[str, Any]:
        return messages_check.check(body, limited=False)

    def streams(self, request: dict[str, Any]) -> bool:
        return False

    def output_limit(self, request: dict[str, Any]) -> int | None:
        return None

    def limit_output(self, request: dict[str, Any], most: int) -> None:
        return

    def choices(self, request: dict[str, Any]) -> int:
        return 0

    def well_formed(self, answer: dict[str, Any]) -> bool:
        return isinstance(answer.get("input_tokens"), int)

    def usage(self, event: Event) -> Usage | None:
        """Nothing: to count is free, and what is counted is not used."""
        return Usage(0, 0, exact=True)

    def decline(self, asked: Mapping[str, Any], no: Declined) -> None:
        """A count has no way to say no."""
