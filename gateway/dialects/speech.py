"""`POST /v1/audio/speech`: words read aloud.

Source: OpenAI's API reference, "Audio" (speech; `speech.audio.delta`, `speech.audio.done`).
The words are governed before they are spoken; the sound is handed on as it came.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gateway.core.answer import Event
from gateway.core.errors import Malformed
from gateway.core.passages import Slot
from gateway.dialects import fields
from gateway.dialects.media import MediaLens

_TYPES: fields.Types = {
    "input": (str,),
    "instructions": (str,),
    "voice": (str, dict),
    "response_format": (str,),
    "stream_format": (str,),
}
_DELTA, _DONE = "speech.audio.delta", "speech.audio.done"


class Speech(MediaLens):
    """The lens of speech. It keeps no state."""

    action = "audio.speech.create"
    asks = "input"

    def check(self, body: object) -> dict[str, Any]:
        request = fields.checked(body, _TYPES)
        if not request.get("input"):
            raise Malformed("'input' must be a non-empty string.", param="input")
        if request.get("stream_format") not in (None, "sse", "audio"):
            raise Malformed("'stream_format' must be 'sse' or 'audio'.", param="stream_format")
        return request

    def streams(self, request: dict[str, Any]) -> bool:
        """Whether events are asked for: sound alone comes as one whole, and is released so."""
        return request.get("stream_format") == "sse"

    def slots(self, request: dict[str, Any]) -> Sequence[Slot]:
        return list(fields.slots(request, _TYPES))

    def modalities(self, request: dict[str, Any]) -> Sequence[str]:
        return ("audio",)

    # The answer
    def takes_media(self, request: Mapping[str, Any], media: str) -> bool:
        kind = media.partition(";")[0].strip().lower()
        return kind.startswith("audio/") or kind == "application/octet-stream"

    def complete(self, request: Mapping[str, Any], ended: Collection[int], last: Event) -> bool:
        return last.data.get("type") == _DONE

    def ended(self, event: Event) -> Collection[int]:
        return (0,) if event.data.get("type") == _DONE else ()

    def well_formed(self, answer: dict[str, Any]) -> bool:
        return isinstance(answer.get("audio"), str | None)

    def fold(self, events: Sequence[Event]) -> dict[str, Any]:
        """All of the sound, in base64, with the members of the last event."""
        if len(events) == 1 and events[0].whole:
            return events[0].data
        pieces = [event.data["audio"] for event in events if event.data.get("audio")]
        sound = b64encode(b"".join(b64decode(piece) for piece in pieces)).decode()
        last = events[-1].data if events else {}
        return {**last, "type": _DONE, "audio": sound}

    def unfold(self, answer: dict[str, Any], request: dict[str, Any]) -> Sequence[Event]:
        rest = {name: value for name, value in answer.items() if name != "audio"}
        delta = Event({"type": _DELTA, "audio": answer.get("audio") or ""})
        return [delta, Event({**rest, "type": _DONE})]
