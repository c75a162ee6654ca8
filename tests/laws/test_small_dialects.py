"""Laws 2 and 5 for completions, embeddings, moderations, images and audio.

However an answer is cut, it reads the same; every text of a request can be masked; what no
rule edits goes out as it came in; what a form says is what its provider is sent.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.memory_cache import MemoryCache
from gateway.core.answer import Event, Events
from gateway.core.dialect import Dialect
from gateway.core.errors import Filtered
from gateway.core.exchange import Exchange
from gateway.core.policy import Decision
from gateway.dialects import multipart
from gateway.dialects.completions import Completions
from gateway.dialects.embeddings import Embeddings
from gateway.dialects.images import ImageEdits, Images
from gateway.dialects.moderations import Moderations
from gateway.dialects.multipart import Upload
from gateway.dialects.speech import Speech
from gateway.dialects.transcriptions import Transcriptions, Translations
from gateway.obligations.mask import Mask
from gateway.obligations.screen import Screen
from gateway.stages.cache import UseCache
from gateway.stages.discharge import Discharge
from tests.exchanges import MODEL, SOMEBODY, allowing, answering, heard, pieces
from tests.laws.test_chunking import ADDRESS, CUTS, MASK, NOISE, REDACT, STOP, Cut, Words

COMPLETIONS, TRANSCRIPTIONS = Completions(), Transcriptions()
FILE = Upload("a.wav", "audio/wav", b"RIFF\0\xff")
PICTURE = Upload("a.png", "image/png", b"\x89PNG\r\n--")

ASKED: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "completions": (COMPLETIONS, {"model": "m", "prompt": "x"}),
    "embeddings": (Embeddings(), {"model": "m", "input": "x"}),
    "moderations": (Moderations(), {"model": "m", "input": "x"}),
    "images": (Images(), {"model": "m", "prompt": "x"}),
    "image edits": (ImageEdits(), {"model": "m", "prompt": "x", "image": PICTURE}),
    "transcriptions": (TRANSCRIPTIONS, {"model": "m", "file": FILE}),
    "translations": (Translations(), {"model": "m", "file": FILE}),
    "speech": (Speech(), {"model": "m", "input": "x"}),
}
TEXT = {"deep": [{"x": ADDRESS}]}
PLACES: dict[str, list[dict[str, Any]]] = {
    "completions": [
        {"prompt": ADDRESS}, {"prompt": ["x", ADDRESS]}, {"suffix": ADDRESS}, {"stop": ADDRESS},
        {"stop": ["x", ADDRESS]}, {"user": ADDRESS}, {"unknown": TEXT}, {"unknown": ADDRESS},
    ],
    "embeddings": [
        {"input": ADDRESS}, {"input": ["x", ADDRESS]}, {"user": ADDRESS}, {"unknown": TEXT},
    ],
    "moderations": [
        {"input": ADDRESS}, {"input": ["x", ADDRESS]}, {"unknown": TEXT},
        {"input": [{"type": "text", "text": ADDRESS}]},
        {"input": [{"type": "text", "text": "x", "unknown": TEXT}]},
        {"input": [{"type": "video", "unknown": {"type": ADDRESS, "image_url": ADDRESS}}]},
    ],
    "images": [{"prompt": ADDRESS}, {"user": ADDRESS}, {"unknown": TEXT}],
    "image edits": [
        {"prompt": ADDRESS}, {"user": ADDRESS}, {"unknown": ["x", ADDRESS]}, {"mask": ADDRESS},
        {"image": Upload(ADDRESS, None, b"")}, {"image[]": [PICTURE, Upload(ADDRESS, None, b"")]},
        {"unknown": Upload(ADDRESS, None, b"")},
    ],
    "transcriptions": [
        {"prompt": ADDRESS}, {"language": ADDRESS}, {"keywords[]": ["x", ADDRESS]},
        {"chunking_strategy[type]": ADDRESS}, {"file": Upload(f"{ADDRESS}.wav", None, b"")},
    ],
    "translations": [{"prompt": ADDRESS}, {"unknown": ADDRESS}],
    "speech": [
        {"input": ADDRESS}, {"instructions": ADDRESS}, {"voice": ADDRESS},
        {"voice": {"id": ADDRESS}}, {"unknown": TEXT},
    ],
}  # fmt: skip
CASES = [(name, place) for name, places in PLACES.items() for place in places]


def decided(dialect: Dialect, request: dict[str, Any], *duties: Any) -> Exchange:
    """An exchange whose request the policy has allowed, under these duties."""

    async def read() -> bytes:
        raise AssertionError("the request is here already")

    exchange = Exchange(dialect, read)
    exchange.request = dialect.check(_on_the_wire(dialect, request))
    exchange.received = dialect.encode(request)[1]
    exchange.slots = dialect.slots(exchange.request)
    exchange.principal, exchange.model = SOMEBODY, MODEL
    exchange.decision = Decision("dec_1", "sha256:1", allowing(*duties))
    return exchange


def _on_the_wire(dialect: Dialect, request: dict[str, Any]) -> Any:
    kind, body = dialect.encode(request)
    return dialect.parse(body, kind)


def read(
    dialect: Dialect, request: dict[str, Any], events: Sequence[Event], *duties: Any
) -> tuple[list[Event], bool, Exchange]:
    """What the caller reads of an answer under these duties, and whether it was stopped."""

    async def main() -> tuple[list[Event], bool, Exchange]:
        exchange = decided(dialect, request, *duties)
        exchange.found(await Words().inspect([slot.passage() for slot in exchange.slots]))
        stage = Discharge({"mask": Mask(Cut()), "screen": Screen({"word": Words()})})
        said: list[Event] = []
        try:
            async for event in await stage(exchange, answering(events)):
                if event.media is None:
                    event = Event(json.loads(event.encode()), whole=event.whole)
                said.append(event)
        except Filtered:
            return said, True, exchange
        return said, False, exchange

    return asyncio.run(main())


@pytest.mark.parametrize(("name", "place"), CASES)
def test_masked_in_every_place(name: str, place: dict[str, Any]) -> None:
    dialect, asked = ASKED[name]
    _, _, exchange = read(dialect, {**asked, **copy.deepcopy(place)}, [], MASK)
    sent = dialect.encode(exchange.request)[1]
    assert ADDRESS.encode() not in sent
    assert b"[[MAIL_1]]" in sent
    assert ADDRESS not in "".join(slot.where for slot in exchange.slots)


@pytest.mark.parametrize(("name", "place"), CASES)
def test_what_no_rule_edits_goes_out_as_it_came(name: str, place: dict[str, Any]) -> None:
    dialect, asked = ASKED[name]
    request = {**asked, **copy.deepcopy(place)}
    kind, body = dialect.encode(request)
    exchange = decided(dialect, request)
    assert dialect.encode(exchange.request) == (kind, body)
    assert dialect.parse(body, kind) == request


UNKNOWN = st.dictionaries(
    st.from_regex(r"x_[a-z0-9]{1,5}", fullmatch=True),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20),
    max_size=3,
)


@pytest.mark.parametrize("name", ASKED)
@given(UNKNOWN)
def test_members_that_we_do_not_know_pass(name: str, more: dict[str, str]) -> None:
    dialect, asked = ASKED[name]
    exchange = decided(dialect, {**asked, **more})
    assert dialect.parse(*reversed(dialect.encode(exchange.request))) == {**asked, **more}


def completion(texts: Sequence[str], index: int = 0) -> list[Event]:
    """A streamed completion that says `texts` on one choice."""
    said: list[tuple[str, str | None]] = [(text, None) for text in texts]
    return [
        Event({"id": "c", "object": "text_completion", "model": "m", "choices": [
            {"index": index, "text": text, "logprobs": None, "finish_reason": end}]})
        for text, end in [*said, ("", "stop")]
    ]  # fmt: skip


def written(texts: Sequence[str]) -> list[Event]:
    """A streamed transcript."""
    deltas = [Event({"type": "transcript.text.delta", "delta": text}) for text in texts]
    return [*deltas, Event({"type": "transcript.text.done", "text": "".join(texts)})]


STREAMS: dict[str, Any] = {
    "completions": (completion, {"prompt": f"I am {ADDRESS}", "stream": True}),
    "transcriptions": (written, {"prompt": f"I am {ADDRESS}", "stream": True}),
}


def told(name: str, texts: Sequence[str], *duties: Any) -> tuple[str, str, bool]:
    """The text in the pieces of a streamed answer, the text of its whole, if it was stopped."""
    make, more = STREAMS[name]
    dialect, asked = ASKED[name]
    said, stopped, _ = read(dialect, {**asked, **more}, make(texts), *duties)
    text = "".join(run.text for event in said for run in dialect.runs(event))
    folded = dialect.fold(said) if said else {}
    whole = folded["choices"][0]["text"] if folded.get("choices") else folded.get("text", "")
    return text, whole, stopped


@pytest.mark.parametrize("name", STREAMS)
@given(NOISE, NOISE, CUTS)
def test_restored_alike(name: str, left: str, right: str, cuts: list[int]) -> None:
    text = f"{left}[[MAIL_1]]{right}"
    one = told(name, [text], MASK)
    assert told(name, pieces(text, cuts), MASK) == one
    assert one[0] == one[1]
    assert ADDRESS in one[0]
    assert not one[2]


@pytest.mark.parametrize("name", STREAMS)
@given(st.text(alphabet="aBOMB 7.\n!", max_size=60), CUTS)
def test_screened_alike(name: str, text: str, cuts: list[int]) -> None:
    one, _, stopped = told(name, [text], STOP, REDACT)
    many, whole, also = told(name, pieces(text, cuts), STOP, REDACT)
    assert one == many
    assert stopped == also == bool(re.search(r"BO\s*MB", text))
    assert "7" not in one
    if not stopped:
        assert whole == many


@given(st.lists(st.tuples(st.integers(0, 2), st.text("ab. ", min_size=1, max_size=4)), max_size=9))
def test_choices_do_not_mix(said: list[tuple[int, str]]) -> None:
    expected: dict[int, str] = {}
    events: list[Event] = []
    for index, text in said:
        expected[index] = expected.get(index, "") + text
        events += completion([text], index)[:-1]
    events += [event for index in expected for event in completion([], index)]
    shown, stopped, _ = read(COMPLETIONS, {"model": "m", "prompt": "x"}, events, REDACT)
    choices = COMPLETIONS.fold(shown)["choices"] if shown else []
    assert {choice["index"]: choice["text"] for choice in choices} == expected
    assert not stopped


WORDS = st.lists(st.sampled_from(["the ", "BO", "MB ", "7", "7 ", "end. ", " "]), max_size=8)


@given(WORDS)
def test_a_transcript_says_nothing_in_pieces_that_it_may_not_say(words: list[str]) -> None:
    """Wherever segments, words or cues cut what a rule finds."""
    text = "".join(words)
    whole = {
        "text": text,
        "segments": [{"text": word, "tokens": [1]} for word in words],
        "words": [{"word": word} for word in words],
    }
    request = {"model": "m", "file": FILE}
    said, stopped, _ = read(TRANSCRIPTIONS, request, [Event(whole, whole=True)], STOP, REDACT)
    assert stopped == bool(re.search(r"BO\s*MB", text))
    if not stopped:
        [answer] = said
        assert "7" not in json.dumps(answer.data)
        assert answer.data["text"] == re.sub("7+", "[SEVEN]", text)
        if "7" not in text:
            spoken = [segment["text"] for segment in answer.data["segments"]]
            assert spoken == [word["word"] for word in answer.data["words"]] == words
        assert all(not segment["tokens"] for segment in answer.data.get("segments", ()))


@given(WORDS, st.booleans())
def test_a_streamed_transcript_says_nothing_in_its_segments_that_its_whole_may_not_say(
    words: list[str], spaced: bool
) -> None:
    """Wherever they are cut, and whether or not each says the space before it."""
    words = [word.strip() for word in words if word.strip()]
    text = " ".join(words)
    whole = {"text": text, "segments": [{"text": word} for word in words]}
    request = {"model": "m", "file": FILE}
    _, stopped, _ = read(TRANSCRIPTIONS, request, [Event(whole, whole=True)], STOP, REDACT)
    kind, done = "transcript.text.segment", {"type": "transcript.text.done", "text": text}
    segments = [
        Event({"type": kind, "id": str(n), "speaker": "A", "text": f" {word}" if spaced else word})
        for n, word in enumerate(words)
    ]
    more = {"stream": True}
    said, also, _ = read(TRANSCRIPTIONS, request | more, [*segments, Event(done)], STOP, REDACT)
    told = [event.data["text"] for event in said if event.data["type"] == kind]
    assert also == stopped
    assert not re.search(r"7|BO\s*MB", " ".join(told))
    if not stopped:
        shown = re.sub(r"7+", "[SEVEN]", text)
        assert " ".join(" ".join(told).split()) == shown
        assert said[-1].data["text"] == shown
    own = dict(enumerate(words))
    for event in said:
        if event.data.get("speaker"):
            assert event.data["text"].strip() == own[int(event.data["id"])]


@given(WORDS)
def test_subtitles_are_read_across_their_cues(words: list[str]) -> None:
    cues = [f"{n}\n00:00:0{n},000 --> 00:00:0{n},500\n{word}\n" for n, word in enumerate(words)]
    event = Event({"text": "\n".join(cues)}, whole=True, media="text/plain; charset=utf-8")
    said, stopped, _ = read(TRANSCRIPTIONS, {"model": "m", "file": FILE}, [event], STOP)
    spoken = "\n".join(word for word in words if word.strip())
    assert stopped == bool(re.search(r"BO\s*MB", spoken))
    if not stopped:
        assert said[0].encode() == "\n".join(cues).encode()


def test_the_files_of_a_form_reach_the_provider_byte_for_byte() -> None:
    dialect, asked = ASKED["image edits"]
    _, _, exchange = read(dialect, {**asked, "prompt": f"for {ADDRESS}"}, [], MASK)
    kind, body = dialect.encode(exchange.request)
    assert multipart.parse(body, kind)["image"] == PICTURE


async def answered(cache: UseCache, dialect: Dialect, request: dict[str, Any], *said: Event
                   ) -> tuple[list[Event], str]:  # fmt: skip
    """What a caller gets through `cache` of an upstream that would say `said`; hit or miss."""

    async def upstream(exchange: Exchange) -> Events:
        exchange.heard += [event.encode() for event in said]
        return await answering(said)(exchange)

    exchange = decided(dialect, request)
    exchange.keep_seconds = 60.0
    async with exchange:
        events = await heard(await cache(exchange, upstream))
    return events, exchange.headers["x-govgate-cache"].partition(";")[0]


def form_of(content: bytes, **more: Any) -> dict[str, Any]:
    return {"model": "m", "file": Upload("a.wav", "audio/wav", content), **more}


async def test_a_form_is_known_by_the_content_of_its_files() -> None:
    cache = UseCache(MemoryCache())
    first = Event({"text": "one"}, whole=True)
    assert (await answered(cache, TRANSCRIPTIONS, form_of(b"1"), first))[1] == "miss"
    [again], state = await answered(cache, TRANSCRIPTIONS, form_of(b"1"))
    assert (again.data, state) == ({"text": "one"}, "hit")
    for other in (form_of(b"2"), form_of(b"1", prompt="x")):
        assert (await answered(cache, TRANSCRIPTIONS, other, first))[1] == "miss"


async def test_a_kept_transcript_is_streamed_to_who_asks_for_a_stream() -> None:
    cache = UseCache(MemoryCache())
    await answered(cache, TRANSCRIPTIONS, form_of(b"1", stream=True), *written(["o", "ne"]))
    [again], state = await answered(cache, TRANSCRIPTIONS, form_of(b"1"))
    assert (again.data, state) == ({"text": "one"}, "hit")
    events, state = await answered(cache, TRANSCRIPTIONS, form_of(b"1", stream=True))
    assert state == "hit"
    assert events[-1].data == {"type": "transcript.text.done", "text": "one"}


@pytest.mark.parametrize("raw", [b"ID3\0\xff", b'{"looks": "like JSON"}', b"7"])
async def test_what_is_no_json_is_not_kept(raw: bytes) -> None:
    cache = UseCache(MemoryCache())
    dialect, request = ASKED["speech"]
    for _ in range(2):
        sound = Event({"text": ""}, whole=True, raw=raw, media="audio/mpeg")
        [event], state = await answered(cache, dialect, request, sound)
        assert (event.encode(), state) == (raw, "miss")


SPEAKERS = {"known_speaker_names[]": [ADDRESS, "Bo"], "response_format": "diarized_json"}


def test_speakers_get_their_own_names_back() -> None:
    segment = {"id": "s", "text": "Hi.", "speaker": "[[MAIL_1]]", "start": 0.0, "end": 1.0}
    event = Event({"text": "Hi.", "segments": [segment]}, whole=True)
    [whole], _, exchange = read(TRANSCRIPTIONS, form_of(b"1", **SPEAKERS), [event], MASK)
    assert exchange.request["known_speaker_names[]"] == ["[[MAIL_1]]", "Bo"]
    assert whole.data == {"text": "Hi.", "segments": [{**segment, "speaker": ADDRESS}]}
    streamed = Event({"type": "transcript.text.segment", **segment})
    request = form_of(b"1", stream=True, **SPEAKERS)
    [again, _], _, _ = read(TRANSCRIPTIONS, request, [streamed, written([])[0]], MASK)
    assert again.data["speaker"] == ADDRESS
