"""A transcript: where its text is, whole or in events, and how events fold into a whole.

The text of a recording is said several times over: as a whole, by segment, by word, in cues
with times. A rule reads all of it as one text, since a name or a number may be cut by any
border between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.core.answer import Event, Lane, Run

DELTA, SEGMENT, DONE = (f"transcript.text.{kind}" for kind in ("delta", "segment", "done"))

_TEXT = Lane(0, "text")
SEGMENTS = Lane(0, "segments")
"""The segments of a stream, read as one text."""
_REPEATED = ("segments", "words")
"""Members of a whole transcript that say its text again, in pieces."""
_DELTA_MEMBERS = frozenset({"type", "delta", "segment_id"})
"""Members that are no loss when an event has nothing left to say."""
_TIMES = re.compile(
    r"\s*[\d:.,]{1,16}\s*-->\s*[\d:.,]{1,16}"
    r"(?:\s+(?:align|line|position|region|size|vertical):[\w%,.-]{1,20})*\s*"
)
"""When a cue is shown and, in WebVTT, where."""
_NUMBER = re.compile(r"\s*\d{1,6}\s*")


def well_formed(answer: Mapping[str, Any]) -> bool:
    """Whether every text is a string where it stands, or not there at all."""
    return (
        all(isinstance(answer.get(name), str | None) for name in ("text", "delta"))
        and isinstance(answer.get("speaker"), str | None)
        and _listed(answer, "segments", "text")
        and _listed(answer, "segments", "speaker")
        and _listed(answer, "words", "word")
        and all(_listed(segment, "words", "word") for segment in answer.get("segments") or ())
    )


def _listed(holder: Mapping[str, Any], name: str, text: str) -> bool:
    listed = holder.get(name)
    return listed is None or (
        isinstance(listed, list)
        and all(isinstance(item, dict) for item in listed)
        and all(isinstance(item.get(text), str | None) for item in listed)
    )


class WholeText(Run):
    """The text of a whole transcript.

    Segments and words say it as it was said, so they go where a rule changes it: what it
    found may be cut by their borders, where none of them shows it.
    """

    __slots__ = ("_aside", "_said")

    def __init__(self, holder: dict[str, Any]) -> None:
        super().__init__(_TEXT, holder, "text")
        self._said: str = holder["text"]
        self._aside: dict[str, Any] = {}

    def put(self, text: str) -> None:
        super().put(text)
        if text == self._said:
            self.holder |= self._aside
            self._aside = {}
        else:
            _forget_tokens(self.holder)
            self._aside |= {n: self.holder.pop(n) for n in _REPEATED if n in self.holder}


class SegmentText(Run):
    """The text of a segment in a stream.

    Segments are read as words that follow each other, whether or not the provider puts a space
    between. A rule that looks ahead holds text back, so that the words of one segment may
    leave with the next; that one then names no speaker, as they are not all its own.
    """

    __slots__ = ()

    def __init__(self, holder: dict[str, Any]) -> None:
        super().__init__(SEGMENTS, holder, "text")

    @property
    def text(self) -> str:
        said: str = self.holder["text"]
        return f" {said}" if said and not said[0].isspace() else said

    def put(self, text: str) -> None:
        said = self.holder["text"]
        apart = said and not said[0].isspace()
        self.holder["text"] = text.removeprefix(" ") if apart else text
        if self.holder["text"] != said and isinstance(self.holder.get("speaker"), str):
            self.holder["speaker"] = ""


class Cues(Run):
    """The text of subtitles (SubRip, WebVTT) without their numbers and times.

    The lines that are spoken read as one text. Where a rule changes how many there are, all
    of it stands in the first.
    """

    __slots__ = ("_lines", "_spoken", "_text")

    def __init__(self, holder: dict[str, Any]) -> None:
        super().__init__(_TEXT, holder, "text")
        self._lines: list[str] = holder["text"].split("\n")
        self._spoken = list(_spoken(self._lines))
        self._text = "\n".join(self._lines[place] for place in self._spoken)

    @property
    def text(self) -> str:
        return self._text

    def put(self, text: str) -> None:
        self._text = text
        lines = text.split("\n")
        if len(lines) != len(self._spoken):
            lines = [" ".join(lines)] + [""] * (len(self._spoken) - 1)
        for place, line in zip(self._spoken, lines, strict=True):
            self._lines[place] = line
        self.holder["text"] = "\n".join(self._lines)


def _spoken(lines: Sequence[str]) -> Iterator[int]:
    """The places of all lines but times, the numbers right before them, and the file's head."""
    for place, line in enumerate(lines):
        after = lines[place + 1] if place + 1 < len(lines) else ""
        counts = _NUMBER.fullmatch(line) and _TIMES.fullmatch(after)
        head = place == 0 and line.strip() == "WEBVTT"
        if line.strip() and not head and not counts and not _TIMES.fullmatch(line):
            yield place


def runs(event: Event) -> list[Run]:
    """Every text of an event that is not a repetition of the stream's."""
    data = event.data
    if not event.whole:
        said: list[Run] = []
        if isinstance(data.get("delta"), str):
            said.append(Run(_TEXT, data, "delta"))
        if data.get("type") != DONE and isinstance(data.get("text"), str):
            said.append(SegmentText(data))
        return said
    if not isinstance(data.get("text"), str):
        return _pieces(data)
    if event.media is not None:
        cues = Cues(data) if "-->" in data["text"] else None
        return [cues if cues is not None and cues.text else Run(_TEXT, data, "text")]
    # All at once: what the whole text sets aside is governed too, as it may come back.
    return [WholeText(data), *_pieces(data)]


def _pieces(data: Mapping[str, Any]) -> list[Run]:
    pieces: list[Run] = []
    for index, segment in enumerate(data.get("segments") or ()):
        pieces += _segment(segment, f"segments/{index}")
        pieces += _words(segment, f"segments/{index}/words")
    return pieces + _words(data, "words")


def _segment(segment: dict[str, Any], name: str) -> list[Run]:
    """What was said, and the name of who said it."""
    said = [Run(Lane(0, name), segment, "text")] if isinstance(segment.get("text"), str) else []
    return [*said, *_speaker(segment, name)]


def _speaker(segment: dict[str, Any], name: str) -> list[Run]:
    """The name of who said a segment, which may be one that the caller gave."""
    told = isinstance(segment.get("speaker"), str)
    return [Run(Lane(0, f"{name}/speaker"), segment, "speaker")] if told else []


def _words(holder: Mapping[str, Any], name: str) -> list[Run]:
    return [
        Run(Lane(0, f"{name}/{index}"), word, "word")
        for index, word in enumerate(holder.get("words") or ())
        if isinstance(word.get("word"), str)
    ]


def echoes(event: Event) -> Iterator[Run]:
    """What an event of a stream says again, or by itself: all of the text at its end, in
    pieces too; who says a segment."""
    data = event.data
    if data.get("type") != DONE:
        place = "/".join(str(data.get(name)) for name in ("id", "start", "end"))
        yield from _speaker(data, f"segments/{place}")
    elif isinstance(data.get("text"), str):
        yield WholeText(data)
    yield from _pieces(data)  # those that are left


def say(lane: Lane, text: str) -> Event:
    """An event that says `text`; a segment of its own says nothing of who spoke, or when."""
    if lane == SEGMENTS:
        return Event({"type": SEGMENT, "text": text, "speaker": ""})
    return Event({"type": DELTA, "delta": text})


def unspell(data: dict[str, Any]) -> bool:
    """Drop what spells the text out token by token; True when there was any."""
    spelled = bool(data.get("logprobs"))
    if spelled:
        del data["logprobs"]
    return _forget_tokens(data) or spelled


def _forget_tokens(data: Mapping[str, Any]) -> bool:
    spelled = [segment for segment in data.get("segments") or () if segment.get("tokens")]
    for segment in spelled:
        segment["tokens"] = []
    return bool(spelled)


def says_nothing(data: Mapping[str, Any]) -> bool:
    """Whether an event is a piece of text that was emptied, and nothing else."""
    more = [name for name in data if name not in _DELTA_MEMBERS and data[name] is not None]
    return data.get("type") == DELTA and not data.get("delta") and not more


def fold(events: Sequence[Event]) -> dict[str, Any]:
    """The transcript that the events amount to."""
    if len(events) == 1 and events[0].whole:
        return events[0].data
    said = [event.data for event in events]
    body = {"text": "".join(data.get("delta") or "" for data in said)}
    for data in said:
        if data.get("type") == DONE:
            body |= {name: value for name, value in data.items() if name != "type"}
    segments = [data for data in said if data.get("type") == SEGMENT]
    return body | ({"segments": segments} if segments else {})


def unfold(answer: Mapping[str, Any]) -> list[Event]:
    """A whole transcript as the events of a stream."""
    segments = answer.get("segments") or ()
    rest = {name: value for name, value in answer.items() if name not in _REPEATED}
    return [
        Event({"type": DELTA, "delta": answer.get("text") or ""}),
        *(Event(dict(each)) for each in segments if each.get("type") == SEGMENT),
        Event({"type": DONE, **rest}),
    ]
