"""`POST /v1/images/generations` and `POST /v1/images/edits`: pictures out of words.

Source: OpenAI's API reference, "Images" and "Image streaming". A picture is handed on as it
came; the words about it, `prompt` and `revised_prompt`, are governed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from gateway.core.answer import Event, Lane, Run
from gateway.core.errors import Malformed
from gateway.core.findings import Finding
from gateway.core.passages import Slot
from gateway.dialects import fields, multipart
from gateway.dialects.media import MediaLens
from gateway.dialects.multipart import Upload

MOST_IMAGES = 10

_TYPES: fields.Types = {
    "prompt": (str,),
    "stream": (bool,),
    "n": (int,),
    "partial_images": (int,),
    "user": (str,),
    "safety_identifier": (str,),
}
_FORM_TYPES: fields.Types = {
    name: (str,) for name in ("prompt", "n", "partial_images", "user", "safety_identifier")
}
_FILES = dict.fromkeys(("image", "image[]", "mask", "markup"), "image")
_WORDS = "revised_prompt"
_COMMON = {"background": "auto", "output_format": "png", "quality": "auto", "size": "auto"}
"""Members that each event of a stream repeats, and what the API takes them to be by default."""
_NOT_TOLD = "auto"
"""What an event may say, and a whole answer may not: the model chose, and does not tell."""


class Images(MediaLens):
    """The lens of image generation. It keeps no state."""

    action = "images.generate"
    asks = "prompt"
    form = "image_generation"
    """What the types of its events begin with."""

    def check(self, body: object) -> dict[str, Any]:
        request = fields.checked(body, _TYPES)
        if not request.get("prompt"):
            raise Malformed("'prompt' must be a non-empty string.", param="prompt")
        fields.between(request.get("n"), 1, MOST_IMAGES, "n")
        return request

    def slots(self, request: dict[str, Any]) -> Sequence[Slot]:
        return list(fields.slots(request, _TYPES))

    def modalities(self, request: dict[str, Any]) -> Sequence[str]:
        return ("image",)

    def choices(self, request: dict[str, Any]) -> int:
        return int(request.get("n") or 1)

    # The answer
    def well_formed(self, answer: dict[str, Any]) -> bool:
        listed = answer.get("data")
        return listed is None or (
            isinstance(listed, list)
            and all(isinstance(image, dict) for image in listed)
            and all(isinstance(image.get(_WORDS), str | None) for image in listed)
        )

    def complete(self, request: Mapping[str, Any], ended: Collection[int], last: Event) -> bool:
        return self._is_last(last)

    def runs(self, event: Event) -> Iterator[Run]:
        for index, image in enumerate(_images(event)):
            if isinstance(image.get(_WORDS), str):
                yield Run(Lane(index, _WORDS), image, _WORDS)

    def ended(self, event: Event) -> Collection[int]:
        """An event says all that it says at once."""
        return (0,) if self._is_last(event) or isinstance(event.data.get(_WORDS), str) else ()

    def fold(self, events: Sequence[Event]) -> dict[str, Any]:
        if len(events) == 1 and events[0].whole:
            return events[0].data
        done = [event.data for event in events if self._is_last(event)]
        body: dict[str, Any] = {"data": [_image(each) for each in done]}
        for each in done:
            told = {name: each[name] for name in (*_COMMON, "usage") if name in each}
            body |= {name: value for name, value in told.items() if value != _NOT_TOLD}
            body["created"] = each.get("created_at")
        return body

    def unfold(self, answer: dict[str, Any], request: dict[str, Any]) -> Sequence[Event]:
        kept = {
            name: answer.get(name) or request.get(name) or usual for name, usual in _COMMON.items()
        }
        head = {"type": f"{self.form}.completed", "created_at": answer.get("created"), **kept}
        events = [Event(head | image) for image in answer.get("data") or ()]
        if events and answer.get("usage"):
            events[-1].data["usage"] = answer["usage"]
        return events

    def _is_last(self, event: Event) -> bool:
        return event.data.get("type") == f"{self.form}.completed"


class ImageEdits(Images):
    """The lens of image edits, which are asked for in forms. It keeps no state."""

    action = "images.edit"
    asks = "prompt"
    form = "image_edit"
    accepts: Collection[str] = frozenset({"multipart/form-data"})

    def parse(self, body: bytes, content_type: str) -> object:
        return multipart.parse(body, content_type)

    def encode(self, request: Mapping[str, Any]) -> tuple[str, bytes]:
        return multipart.encode(request)

    def check(self, body: object) -> dict[str, Any]:
        form = fields.checked(body, _FORM_TYPES)
        if not form.get("prompt"):
            raise Malformed("'prompt' must be a non-empty string.", param="prompt")
        given = [form[name] for name in ("image", "image[]") if name in form]
        pictures = [each for one in given for each in (one if isinstance(one, list) else [one])]
        if not pictures or not all(isinstance(each, Upload) for each in pictures):
            raise Malformed("'image' must be a file, or several.", param="image")
        wanted = form.get("n")
        if wanted is not None and wanted not in _NUMBERS:
            raise Malformed(f"'n' must be between 1 and {MOST_IMAGES}.", param="n")
        multipart.flag(form, "stream")
        return form

    def slots(self, request: dict[str, Any]) -> Sequence[Slot]:
        return multipart.slots(request, {*_TYPES, *_FILES})

    def opaque(self, request: dict[str, Any]) -> Sequence[Finding]:
        return multipart.opaque(request, _FILES)


_NUMBERS = frozenset(str(number) for number in range(1, MOST_IMAGES + 1))


def _images(event: Event) -> list[dict[str, Any]]:
    """The pictures of a whole answer, or the one of an event."""
    if not event.whole:
        return [event.data]
    listed: list[dict[str, Any]] = event.data.get("data") or []
    return listed


def _image(event: Mapping[str, Any]) -> dict[str, Any]:
    """What of an event is the picture's own."""
    return {name: event[name] for name in ("b64_json", "url", _WORDS) if name in event}
