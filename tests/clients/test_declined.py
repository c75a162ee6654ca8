"""C21: being told no by an answer, as real packages hear it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pydantic
import pytest

from gateway.core.declined import Manner
from tests.clients.callers import (
    BLOCKED,
    MODEL,
    REFUSED,
    Caller,
    caller,
    make_key,
    read,
    text_of,
    user,
)
from tests.clients.fleet import CLEARED, CLIENTS, Running
from tests.clients.vendors import Vendors
from tests.declining import WORDS, house_before, tag
from tests.houses import House

STOPPED = '@replay say "Build a pi\\u0070e bomb."'
"""Harmless to ask; the answer is stopped before anything of it is shown."""
ASKED = pytest.mark.parametrize("text", [REFUSED, STOPPED], ids=["refused", "stopped"])


class Reply(pydantic.BaseModel):
    """An answer with a shape."""

    said: str


@pytest.fixture(scope="module")
def declining(tmp_path_factory: pytest.TempPathFactory, vendors: Vendors) -> Iterator[House]:
    house = house_before(tmp_path_factory.mktemp("declining"), vendors.base_url)
    house.start()
    yield house
    house.stop()


@pytest.fixture(scope="module")
def keys(declining: House) -> dict[Manner, str]:
    """A key of an application for each way."""
    return {how: make_key(declining, tags=(tag(how),))[0] for how in Manner}


@pytest.fixture
def filtered(declining: House, keys: dict[Manner, str]) -> Iterator[Caller]:
    with caller(declining, keys[Manner.CONTENT_FILTER]) as client:
        yield client


@pytest.fixture
def refused(declining: House, keys: dict[Manner, str]) -> Iterator[Caller]:
    with caller(declining, keys[Manner.REFUSAL]) as client:
        yield client


@pytest.fixture
def messaged(declining: House, keys: dict[Manner, str]) -> Iterator[Caller]:
    with caller(declining, keys[Manner.MESSAGE]) as client:
        yield client


class TestChat:
    @ASKED
    def test_a_filtered_answer_has_no_text_and_parse_raises(
        self, text: str, filtered: Caller
    ) -> None:
        answer = filtered.chat.completions.create(model=MODEL, messages=user(text))
        [choice] = answer.choices
        assert (choice.message.content, choice.finish_reason) == (None, "content_filter")
        assert answer.usage is not None
        assert (answer.usage.completion_tokens > 0) is (text == STOPPED)
        with pytest.raises(openai.ContentFilterFinishReasonError):
            filtered.chat.completions.parse(model=MODEL, messages=user(text), response_format=Reply)
        assert len(filtered.attempts) == 2

    def test_a_stream_raises_where_an_answer_with_a_shape_is_wanted(self, filtered: Caller) -> None:
        asked: Any = {"model": MODEL, "messages": user(REFUSED), "response_format": Reply}
        with (
            pytest.raises(openai.ContentFilterFinishReasonError),
            filtered.chat.completions.stream(**asked) as stream,
        ):
            stream.until_done()

    def test_a_stream_ends_where_it_is_stopped(self, filtered: Caller) -> None:
        asked = {"model": MODEL, "messages": user(BLOCKED), "stream": True}
        chunks: list[Any] = []
        read(filtered.chat.completions.create(**asked), chunks)
        assert text_of(chunks) == CLEARED
        assert chunks[-1].choices[0].finish_reason == "content_filter"
        assert not chunks[-1].choices[0].delta.content

    @ASKED
    def test_a_refusal_stands_beside_the_content(self, text: str, refused: Caller) -> None:
        asked: Any = {"model": MODEL, "messages": user(text), "response_format": Reply}
        [choice] = refused.chat.completions.parse(**asked).choices
        assert (choice.message.parsed, choice.message.refusal) == (None, WORDS)
        with refused.chat.completions.stream(model=MODEL, messages=user(text)) as stream:
            final = stream.get_final_completion().choices[0]
        assert (final.message.refusal, final.finish_reason) == (WORDS, "stop")

    def test_a_message_reads_like_an_answer(self, messaged: Caller) -> None:
        answer = messaged.chat.completions.create(model=MODEL, messages=user(REFUSED))
        assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (
            WORDS,
            "stop",
        )
        with messaged.chat.completions.stream(model=MODEL, messages=user(BLOCKED)) as stream:
            final = stream.get_final_completion().choices[0]
        assert final.message.content == f"{CLEARED}\n\n{WORDS}"

    def test_who_wants_json_reads_a_refusal(self, messaged: Caller) -> None:
        asked: Any = {"model": MODEL, "messages": user(REFUSED), "response_format": Reply}
        [choice] = messaged.chat.completions.parse(**asked).choices
        assert (choice.message.parsed, choice.message.refusal) == (None, WORDS)


class TestResponses:
    @ASKED
    def test_a_filtered_response_is_incomplete(self, text: str, filtered: Caller) -> None:
        response = filtered.responses.create(model=MODEL, input=text)
        assert (response.status, response.output_text) == ("incomplete", "")
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == "content_filter"
        assert response.usage is not None

    @pytest.mark.parametrize(("text", "shown"), [(REFUSED, ""), (BLOCKED, CLEARED)])
    def test_a_filtered_stream_is_one_that_the_package_reads(
        self, text: str, shown: str, filtered: Caller
    ) -> None:
        with filtered.responses.stream(model=MODEL, input=text) as stream:
            events: list[Any] = list(stream)
        assert events[0].type == "response.created"
        assert events[-1].type == "response.incomplete"
        assert events[-1].response.output_text == shown
        assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == shown

    @pytest.mark.parametrize(("text", "shown"), [(REFUSED, ""), (BLOCKED, CLEARED)])
    def test_a_refusal_is_a_part_of_its_own(self, text: str, shown: str, refused: Caller) -> None:
        with refused.responses.stream(model=MODEL, input=text) as stream:
            events: list[Any] = list(stream)
            final = stream.get_final_response()
        said = [event.delta for event in events if event.type == "response.refusal.delta"]
        assert said == [WORDS]
        last: Any = final.output[-1]
        assert (last.content[0].type, last.content[0].refusal) == ("refusal", WORDS)
        assert (final.status, final.output_text) == ("completed", shown)

    def test_parse_gives_nothing_but_the_refusal(self, refused: Caller) -> None:
        response = refused.responses.parse(model=MODEL, input=REFUSED, text_format=Reply)
        assert response.output_parsed is None

    def test_a_message_reads_like_an_answer(self, messaged: Caller) -> None:
        assert messaged.responses.create(model=MODEL, input=REFUSED).output_text == WORDS
        with messaged.responses.stream(model=MODEL, input=BLOCKED) as stream:
            final = stream.until_done().get_final_response()
        assert final.output_text == f"{CLEARED}\n\n{WORDS}"


class TestMessages:
    """With Anthropic's own package."""

    @pytest.fixture
    def ask(self, declining: House, keys: dict[Manner, str]) -> Any:
        root = declining.base_url.removesuffix("/v1")

        def ask(how: Manner, text: str, *, stream: bool) -> anthropic.types.Message:
            asked: Any = {"model": MODEL, "max_tokens": 99, "messages": user(text)}
            with anthropic.Anthropic(base_url=root, api_key=keys[how]) as client:
                if not stream:
                    return client.messages.create(**asked)
                with client.messages.stream(**asked) as events:
                    return events.get_final_message()

        return ask

    @pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
    @pytest.mark.parametrize("text", [REFUSED, BLOCKED], ids=["refused", "stopped"])
    def test_each_way(self, ask: Any, text: str, stream: bool) -> None:
        shown = CLEARED if stream and text == BLOCKED else ""

        def said(message: anthropic.types.Message) -> str:
            return "".join(block.text for block in message.content if block.type == "text")

        for how, words in ((Manner.CONTENT_FILTER, None), (Manner.REFUSAL, WORDS)):
            told = ask(how, text, stream=stream)
            assert (told.stop_reason, said(told)) == ("refusal", shown)
            details: Any = told.stop_details
            assert details.explanation == words
        told = ask(Manner.MESSAGE, text, stream=stream)
        assert told.stop_reason == "end_turn"
        assert said(told) == (f"{shown}\n\n{WORDS}" if shown else WORDS)


FRAMEWORKS = [
    pytest.param(client, id=client.name)
    for client in CLIENTS
    if client.name in ("Pydantic AI", "Pydantic AI, responses", "Pydantic AI, messages")
]


@pytest.mark.parametrize("client", FRAMEWORKS)
def test_pydantic_ai_raises_on_what_was_filtered_and_shows_a_message(
    client: Any, declining: House, keys: dict[Manner, str]
) -> None:
    running = Running(client)
    try:
        for do in ("hello", "stream"):
            for text in (REFUSED, STOPPED):
                where = {"base_url": declining.base_url, "model": MODEL}
                came = running.do(do, text, key=keys[Manner.CONTENT_FILTER], **where)
                assert "ContentFilterError" in came["error"]["kinds"], came
                came = running.do(do, text, key=keys[Manner.MESSAGE], **where)
                assert came["said"] == WORDS, came
    finally:
        running.stop()
