"""What the endpoints for images and audio share: typed events, and answers of any length."""

from __future__ import annotations

import re
from typing import Any

import orjson

from gateway.core.answer import Event
from gateway.core.errors import Code, Denied
from gateway.core.money import Usage
from gateway.dialects.lens import Lens

_KIND = re.compile(r"[a-z_.]{1,64}")


class MediaLens(Lens):
    """A lens whose streams are typed events, and whose answers no request can bound.

    Source: OpenAI's API reference, "Images", "Audio" and their streaming events. Such a stream
    ends with its last event, without `[DONE]`.
    """

    action: str

    def streams(self, request: dict[str, Any]) -> bool:
        return request.get("stream") is True

    def limit_output(self, request: dict[str, Any], most: int) -> None:
        """Raises `Denied`: there is no member that would limit an image or a recording.

        So a key with a budget, and a policy that caps tokens, are not served here: what they
        hold to could be overrun.
        """
        raise Denied(
            Code.MODEL_NOT_PRICED,
            f"The output of {self.action} cannot be limited, so its cost has no upper bound, "
            "and this key or the policy sets one.",
            param="model",
        )

    def usage(self, event: Event) -> Usage | None:
        match event.data.get("usage"):
            case {"input_tokens": int() as read, "output_tokens": int() as said}:
                return Usage(max(read, 0), max(said, 0), exact=True)
            case _:
                return None

    def frame(self, event: Event) -> bytes:
        kind = event.data.get("type")
        if isinstance(kind, str) and _KIND.fullmatch(kind):
            return b"event: %b\ndata: %b\n\n" % (kind.encode(), event.encode())
        return super().frame(event)

    def frame_error(self, body: dict[str, Any], *, finished: bool) -> bytes:
        return b"event: error\ndata: %b\n\n" % orjson.dumps(body)

    def end(self) -> bytes:
        return b""
