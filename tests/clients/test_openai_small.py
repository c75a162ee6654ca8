"""C08: the official client on completions, embeddings, moderations, images and audio."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from gateway.dialects import multipart
from gateway.dialects.multipart import Upload
from tests.clients.callers import MODEL, REFUSED, Caller, caller, ended, make_key, user
from tests.clients.canned import Canned
from tests.houses import House, embedded

pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
"""The client calls translations deprecated; they are still served."""

ANN = "ann.lee@example.org"
MASKED = "[[EMAIL_ADDRESS_1]]"
SAID = f"Dear {MASKED}."
WAV = ("a.wav", b"RIFF\0\xff\r\n--", "audio/wav")
PNG = ("a.png", b"\x89PNG\r\n--", "image/png")
TOKENS = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}


@pytest.fixture(scope="module")
def small_house(tmp_path_factory: pytest.TempPathFactory, canned: Canned) -> Iterator[House]:
    """A gateway with the baseline pack, before `canned`."""
    settings = {
        "GOVGATE_UPSTREAM__BASE_URL": canned.base_url,
        "GOVGATE_UPSTREAM__API_KEY": "sk-upstream",
        "GOVGATE_PRICES__OVERRIDES": json.dumps({MODEL: ("1.00", "2.00")}),
    }
    house = embedded(tmp_path_factory.mktemp("small"), **settings)
    house.start()
    yield house
    house.stop()


@pytest.fixture
def small(small_house: House) -> Iterator[Caller]:
    with caller(small_house, make_key(small_house)[0]) as made:
        yield made


def frames(*events: dict[str, Any], done: bool = False) -> bytes:
    said = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    return said + (b"data: [DONE]\n\n" if done else b"")


def text_of(answer: Any) -> str:
    return str(getattr(answer, "text", answer))


def asked(canned: Canned) -> dict[str, Any]:
    """The request that the upstream got: a JSON body, or the fields of a form."""
    [seen] = canned.asked
    assert seen["headers"]["authorization"] == "Bearer sk-upstream"
    if isinstance(seen["body"], bytes):
        kind = {name.lower(): value for name, value in seen["headers"].items()}["content-type"]
        return multipart.parse(seen["body"], kind)
    body: dict[str, Any] = seen["body"]
    return body


COMPLETION = {
    "id": "c", "object": "text_completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "text": SAID, "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
}  # fmt: skip
VECTORS = {
    "object": "list", "model": "m", "usage": {"prompt_tokens": 3, "total_tokens": 3},
    "data": [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAEA="}],
}  # fmt: skip
SCORES = {"id": "modr", "model": "m", "results": []}
PICTURES = {"created": 1, "data": [{"b64_json": "AA==", "revised_prompt": SAID}], "usage": TOKENS}
VERBOSE = {
    "task": "transcribe", "language": "en", "duration": 1.0, "text": "Dear you.",
    "segments": [], "words": [{"word": "Dear", "start": 0.0, "end": 1.0}],
}  # fmt: skip

CALLS: dict[str, tuple[Callable[[openai.OpenAI, str], Any], dict[str, Any], Callable[[Any], str]]]
CALLS = {
    "completions": (
        lambda c, text: c.completions.create(model=MODEL, prompt=text),
        COMPLETION, lambda answer: answer.choices[0].text,
    ),
    "embeddings": (
        lambda c, text: c.embeddings.create(model=MODEL, input=["x", text]),
        VECTORS, lambda answer: str(answer.data[0].embedding),
    ),
    "moderations": (
        lambda c, text: c.moderations.create(input=text), SCORES, lambda answer: answer.id,
    ),
    "images": (
        lambda c, text: c.images.generate(model=MODEL, prompt=text),
        PICTURES, lambda answer: answer.data[0].revised_prompt,
    ),
    "image edits": (
        lambda c, text: c.images.edit(model=MODEL, image=[PNG, PNG], mask=PNG, prompt=text, n=2),
        PICTURES, lambda answer: answer.data[0].revised_prompt,
    ),
    "transcriptions": (
        lambda c, text: c.audio.transcriptions.create(model=MODEL, file=WAV, prompt=text),
        {"text": SAID, "usage": {"type": "tokens", **TOKENS}}, text_of,
    ),
    "translations": (
        lambda c, text: c.audio.translations.create(model=MODEL, file=WAV, prompt=text),
        {"text": SAID}, text_of,
    ),
}  # fmt: skip
SHOWN = {"embeddings": "[1.0, 2.0]", "moderations": "modr"}


@pytest.mark.parametrize("name", CALLS)
def test_masked_and_restored(name: str, small: Caller, small_house: House, canned: Canned) -> None:
    """The provider sees a placeholder, the caller its own text; the record holds both."""
    call, answer, shown = CALLS[name]
    canned.answers(json.dumps(answer).encode())
    said = call(small, f"write to {ANN}")
    assert shown(said) == SHOWN.get(name, f"Dear {ANN}.")
    sent = asked(canned)
    assert MASKED in str(sent)
    assert ANN not in str(canned.asked)
    [opened, *rest] = small_house.record(said._request_id)
    assert ANN.encode() in (opened.parts or {})["request_received"]
    assert ended(small_house, said._request_id)["outcome"] == "completed"
    attempts = [
        entry.parts["request_sent"] for entry in rest if "request_sent" in (entry.parts or {})
    ]
    assert [MASKED.encode() in body for body in attempts] == [True]


@pytest.mark.parametrize("name", [*CALLS, "speech"])
def test_refused_by_policy(name: str, small: Caller, canned: Canned) -> None:
    canned.answers(b"{}")
    call = speak if name == "speech" else CALLS[name][0]
    with pytest.raises(openai.BadRequestError) as caught:
        call(small, REFUSED)
    assert caught.value.code == "content_filter"
    assert caught.value.response.json()["error"]["governance"]["stage"] == "request"
    assert canned.asked == []
    assert len(small.attempts) == 1


def speak(client: openai.OpenAI, text: str, **more: Any) -> Any:
    return client.audio.speech.create(
        model=MODEL, voice="alloy", input=text, instructions=f"as {ANN}", **more
    )


def test_a_form_arrives_as_it_was_sent(small: Caller, canned: Canned) -> None:
    canned.answers(json.dumps(PICTURES).encode())
    CALLS["image edits"][0](small, "hello")
    picture = Upload(*(PNG[0], PNG[2], PNG[1]))
    assert asked(canned) == {
        "model": MODEL, "prompt": "hello", "n": "2", "image[]": [picture, picture],
        "mask": picture,
    }  # fmt: skip


def test_a_long_recording_arrives_byte_for_byte(
    small: Caller, small_house: House, canned: Canned
) -> None:
    canned.answers(b'{"text":"hi"}')
    sound = bytes(range(256)) * (32 << 10)
    said = small.audio.transcriptions.create(model=MODEL, file=("a.wav", sound))
    assert asked(canned)["file"].content == sound
    [opened, *_] = small_house.record(str(said._request_id))
    assert sound in (opened.parts or {})["request_received"]
    with pytest.raises(openai.APIStatusError) as caught:
        small.audio.transcriptions.create(model=MODEL, file=("a.wav", sound * 2))
    assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")


def test_pictures_and_recordings_are_labelled(small: Caller, canned: Canned) -> None:
    canned.answers(json.dumps(PICTURES).encode())
    raw = small.images.with_raw_response.edit(model=MODEL, image=PNG, prompt="hello")
    assert raw.headers["x-govgate-labels"] == "unread-input,unread-output"
    canned.answers(b'{"text":"hi"}')
    heard = small.audio.transcriptions.with_raw_response.create(model=MODEL, file=WAV)
    assert heard.headers["x-govgate-labels"] == "unread-input"


def test_streamed_completions(small: Caller, canned: Canned) -> None:
    def chunk(text: str, end: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": end}
        return {**COMPLETION, "choices": [choice], "usage": None}

    usage = {**COMPLETION, "choices": []}
    said = frames(
        chunk("Dear [[EMAIL_"), chunk("ADDRESS_1]]."), chunk("", "stop"), usage, done=True
    )
    canned.answers(said, stream=True)
    chunks = list(small.completions.create(model=MODEL, prompt=f"write to {ANN}", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == f"Dear {ANN}."
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert asked(canned)["stream_options"] == {"include_usage": True}


def test_streamed_pictures(small: Caller, canned: Canned) -> None:
    large = "A" * (3 << 20)
    partial = {"type": "image_generation.partial_image", "b64_json": large,
               "partial_image_index": 0}  # fmt: skip
    done = {"type": "image_generation.completed", "b64_json": "AA==", "usage": TOKENS}
    canned.answers(frames(partial, done), stream=True)
    stream = small.images.generate(model=MODEL, prompt=f"of {ANN}", stream=True, partial_images=1)
    events: list[Any] = list(stream)
    assert [event.type for event in events] == [partial["type"], done["type"]]
    assert events[0].b64_json == large
    assert asked(canned)["prompt"] == f"of {MASKED}"


def test_streamed_transcripts(small: Caller, canned: Canned) -> None:
    pieces = ["Dear [[EMAIL_", "ADDRESS_1]]."]
    deltas = [{"type": "transcript.text.delta", "delta": piece} for piece in pieces]
    done = {"type": "transcript.text.done", "text": SAID, "usage": {"type": "tokens", **TOKENS}}
    canned.answers(frames(*deltas, done), stream=True)
    stream = small.audio.transcriptions.create(model=MODEL, file=WAV, prompt=ANN, stream=True)
    events: list[Any] = list(stream)
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == f"Dear {ANN}."
    assert asked(canned)["stream"] == "true"


def test_a_stopped_transcript_says_so(small: Caller, canned: Canned) -> None:
    said = ["Fine. ", "You build a pipe ", "bomb so. "]
    deltas = [{"type": "transcript.text.delta", "delta": piece} for piece in said]
    done = {"type": "transcript.text.done", "text": "".join(said)}
    canned.answers(frames(*deltas, done), stream=True)
    events: list[Any] = []
    with pytest.raises(openai.APIError) as caught:
        events.extend(small.audio.transcriptions.create(model=MODEL, file=WAV, stream=True))
    assert caught.value.code == "content_filter"
    assert "bomb" not in str(events)


@pytest.mark.parametrize("wanted", ["text", "srt", "vtt"])
def test_transcripts_as_text(wanted: Any, small: Caller, canned: Canned) -> None:
    kind = {"content-type": "text/plain; charset=utf-8"}
    times = "1\n00:00:00,000 --> 00:00:01,000\n"
    canned.answers(f"{times}Dear {MASKED}.\n".encode(), **kind)
    create = small.audio.transcriptions.create
    said = create(model=MODEL, file=WAV, prompt=ANN, response_format=wanted)
    assert said == f"{times}Dear {ANN}.\n"
    canned.answers(
        f"{times}build a pipe\n\n2\n00:00:01,000 --> 00:00:02,000\nbomb\n".encode(), **kind
    )
    with pytest.raises(openai.BadRequestError) as caught:
        create(model=MODEL, file=WAV, response_format=wanted)
    assert caught.value.code == "content_filter"


def test_verbose_transcripts(small: Caller, canned: Canned) -> None:
    canned.answers(json.dumps(VERBOSE).encode())
    create = small.audio.transcriptions.create
    said = create(model=MODEL, file=WAV, response_format="verbose_json")
    assert said.to_dict() == VERBOSE


def test_speech(small: Caller, small_house: House, canned: Canned) -> None:
    canned.answers(b"ID3\0\xff", **{"content-type": "audio/mpeg"})
    said = speak(small, f"hello {ANN}")
    assert said.content == b"ID3\0\xff"
    assert said.response.headers["content-type"] == "audio/mpeg"
    assert asked(canned)["input"] == f"hello {MASKED}"
    assert asked(canned)["instructions"] == f"as {MASKED}"
    assert ended(small_house, said.response.headers["x-request-id"])["outcome"] == "completed"


def test_streamed_speech(small: Caller, canned: Canned) -> None:
    events = [{"type": "speech.audio.delta", "audio": "AA=="},
              {"type": "speech.audio.done", "usage": TOKENS}]  # fmt: skip
    canned.answers(frames(*events), stream=True)
    said = speak(small, "hello", stream_format="sse")
    assert said.response.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in said.content.split(b"\n") if line.startswith(b"data: ")]
    assert [json.loads(line.removeprefix(b"data: ")) for line in lines] == events


@pytest.mark.parametrize("name", ["completions", "embeddings"])
def test_tokens_are_refused(name: str, small: Caller, canned: Canned) -> None:
    canned.answers(b"{}")
    call: Any = {
        "completions": lambda: small.completions.create(model=MODEL, prompt=[1, 2]),
        "embeddings": lambda: small.embeddings.create(model=MODEL, input=[[1], [2]]),
    }[name]
    with pytest.raises(openai.BadRequestError, match="cannot be governed") as caught:
        call()
    assert caught.value.param == {"completions": "prompt", "embeddings": "input"}[name]
    assert canned.asked == []


@pytest.mark.parametrize("name", [*CALLS, "speech"])
def test_a_budget_pays_for_what_has_a_bound(name: str, small_house: House, canned: Canned) -> None:
    """Tokens have one; a picture or a recording has none, and moderation has no price."""
    call, answer, _ = CALLS.get(name, (speak, {}, str))
    canned.answers(json.dumps(answer).encode())
    with caller(small_house, small_house.key("--budget", "1.00")) as client:
        if name in ("completions", "embeddings"):
            assert call(client, "hello")
            return
        with pytest.raises(openai.BadRequestError) as caught:
            call(client, "hello")
    assert caught.value.code == "model_not_priced"
    assert canned.asked == []


def test_chat_is_where_it_was(small: Caller, canned: Canned) -> None:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "hi"},
        "finish_reason": "stop",
    }
    canned.answers(json.dumps({"id": "c", "choices": [choice]}).encode())
    said = small.chat.completions.create(model=MODEL, messages=user("hello"))
    assert said.choices[0].message.content == "hi"
