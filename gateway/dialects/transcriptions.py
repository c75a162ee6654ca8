"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`: speech written down.

Source: OpenAI's API reference, "Audio" (transcriptions, translations and their streaming
events). The sound cannot be read here; what it was heard to say is governed, in each place
where the answer says it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from multipart import parse_options_header  # type: ignore[import-untyped]

from gateway.core.answer import Event, Lane, Run
from gateway.core.errors import Code, Malformed
from gateway.core.findings import Finding
from gateway.core.passages import Slot
from gateway.dialects import fields, multipart, transcript
from gateway.dialects.media import MediaLens
from gateway.dialects.multipart import Upload

LARGEST_FILE = 25 << 20
"""Bytes, as the API reference says."""

_TYPES: fields.Types = {
    name: (str,) for name in ("prompt", "language", "response_format", "temperature")
}
_REFERENCES = frozenset({"known_speaker_references", "known_speaker_references[]"})
"""Recordings as data URLs: sound, though it is written in letters."""
_KNOWN = frozenset({"file", "keywords", "keywords[]", "known_speaker_names[]", *_TYPES})
_PLAIN = frozenset({"text", "srt", "vtt"})
"""Formats of answers that are no JSON."""


class Transcriptions(MediaLens):
    """The lens of transcriptions. It keeps no state."""

    action = "audio.transcriptions.create"
    asks = "prompt"
    accepts: Collection[str] = frozenset({"multipart/form-data"})

    # The request
    def parse(self, body: bytes, content_type: str) -> object:
        return multipart.parse(body, content_type)

    def encode(self, request: Mapping[str, Any]) -> tuple[str, bytes]:
        return multipart.encode(request)

    def check(self, body: object) -> dict[str, Any]:
        form = fields.checked(body, _TYPES)
        file = form.get("file")
        if not isinstance(file, Upload):
            raise Malformed("'file' must be a file.", param="file")
        if len(file.content) > LARGEST_FILE:
            words = f"'file' is larger than {LARGEST_FILE} bytes."
            raise Malformed(words, param="file", code=Code.REQUEST_TOO_LARGE)
        multipart.flag(form, "stream")
        return form

    def slots(self, request: dict[str, Any]) -> Sequence[Slot]:
        return multipart.slots(request, _KNOWN, unread=_REFERENCES)

    def opaque(self, request: dict[str, Any]) -> Sequence[Finding]:
        voices = [f"/{name}" for name in request if name in _REFERENCES]
        found = [Finding("opaque", "audio", where, 0, 0, 1.0) for where in voices]
        return [*multipart.opaque(request, {"file": "audio"}), *found]

    # The answer
    def well_formed(self, answer: dict[str, Any]) -> bool:
        return transcript.well_formed(answer)

    def takes_media(self, request: Mapping[str, Any], media: str) -> bool:
        _, options = parse_options_header(media)
        charset = options.get("charset", "utf-8").lower()
        written = media.startswith("text/") and charset in ("utf-8", "utf8", "us-ascii")
        return written and request.get("response_format") in _PLAIN

    def complete(self, request: Mapping[str, Any], ended: Collection[int], last: Event) -> bool:
        return last.data.get("type") == transcript.DONE

    def runs(self, event: Event) -> Iterable[Run]:
        return transcript.runs(event)

    def echoes(self, event: Event) -> Iterable[Run]:
        return transcript.echoes(event)

    def ended(self, event: Event) -> Collection[int]:
        return (0,) if event.data.get("type") == transcript.DONE else ()

    def say(self, lane: Lane, text: str, like: Event | None) -> Event:
        return transcript.say(lane, text)

    def unspell(self, event: Event) -> bool:
        return transcript.unspell(event.data)

    def hollow(self, event: Event) -> bool:
        return event.raw is None and not event.whole and transcript.says_nothing(event.data)

    def fold(self, events: Sequence[Event]) -> dict[str, Any]:
        return transcript.fold(events)

    def unfold(self, answer: dict[str, Any], request: dict[str, Any]) -> Sequence[Event]:
        return transcript.unfold(answer)


class Translations(Transcriptions):
    """The lens of translations, which are transcripts in English. It keeps no state.

    The API reference gives them no `stream`: who sends one gets a whole answer.
    """

    action = "audio.translations.create"
    asks = "prompt"

    def streams(self, request: dict[str, Any]) -> bool:
        return False
