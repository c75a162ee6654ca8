"""What answers with `choices` share: chat completions and completions count usage alike."""

from __future__ import annotations

from gateway.core.answer import Event
from gateway.core.money import Usage
from gateway.dialects.lens import Lens


class Choices(Lens):
    """A lens over answers that hold `choices` and `usage`, whole and streamed."""

    def usage(self, event: Event) -> Usage | None:
        match event.data.get("usage"):
            case {"prompt_tokens": int() as read, "completion_tokens": int() as said}:
                return Usage(max(read, 0), max(said, 0), exact=_final(event))
            case _:
                return None

    def only_usage(self, event: Event) -> bool:
        return not event.whole and not event.data.get("choices") and bool(event.data.get("usage"))

    def hide_usage(self, event: Event) -> bool:
        if event.whole or "usage" not in event.data:
            return False
        del event.data["usage"]
        event.edited()
        return True


def _final(event: Event) -> bool:
    """Whether a count is the last: some providers tell a running one with every chunk."""
    choices = event.data.get("choices") or ()
    return event.whole or all(choice.get("finish_reason") for choice in choices)
