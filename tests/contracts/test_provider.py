"""What every `Provider` promises: the fake, replay, and OpenAI's wire to a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.adapters.providers.openai import OpenAIProvider
from gateway.adapters.providers.replay import ReplayProvider
from gateway.adapters.providers.replay_server import ReplayServer
from gateway.adapters.providers.wire import AiohttpTransport, Timeouts
from gateway.core.answer import Event, Events
from gateway.core.errors import Code, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.ports import Model, Provider
from gateway.dialects.chat import Chat
from tests.fakes.provider import Breaks, FakeProvider, Told, serving

MODEL = Model(id="ours", upstream="up", upstream_model="theirs")
TEXT = "One two three, вітаю 👋."


@dataclass(frozen=True)
class Case:
    """A behaviour, in the words of each implementation."""

    directions: str
    told: Told


ANSWERS = Case(f'@replay say "{TEXT}"', TEXT)
TURNS_AWAY = Case(
    "@replay status 503 retry-after 2",
    UpstreamError(
        Code.UPSTREAM_ERROR, "Busy.", status=503, retry_after=2.0, retryable=True,
        body={"message": "as scripted"},
    ),
)  # fmt: skip
REFUSES = Case(
    "@replay status 400",
    UpstreamError(Code.UPSTREAM_ERROR, "No.", status=400, body={"message": "as scripted"}),
)
FAILS = Case(
    "@replay status 500",
    UpstreamError(Code.UPSTREAM_ERROR, "No.", status=500, body={"message": "as scripted"}),
)
_BROKE = UpstreamError(Code.UPSTREAM_ERROR, "It broke.")
_LATE = UpstreamError(Code.UPSTREAM_TIMEOUT, "Too late.")
DIES = Case(f'@replay say "{TEXT}"\n@replay die-after 2', Breaks(TEXT, _BROKE))
TALKS_NONSENSE = Case(f'@replay say "{TEXT}"\n@replay malformed-after 2', Breaks(TEXT, _BROKE))
REPORTS_AN_ERROR = Case(f'@replay say "{TEXT}"\n@replay error-after 2', Breaks(TEXT, _BROKE))
HANGS = Case(f'@replay say "{TEXT}"\n@replay hang-after 2', Breaks(TEXT, _LATE))
BREAKS = [DIES, TALKS_NONSENSE, REPORTS_AN_ERROR, HANGS]

Providers = Callable[[Case], Provider]


@pytest.fixture(scope="module")
def upstream() -> Iterator[tuple[ReplayServer, str]]:
    server = ReplayServer(api_key="k")
    with serving(server) as url:
        yield server, url


@pytest.fixture(params=["fake", "replay", "openai"])
async def provider_for(
    request: pytest.FixtureRequest, upstream: tuple[ReplayServer, str]
) -> AsyncIterator[Providers]:
    patient, impatient = AiohttpTransport(), AiohttpTransport(Timeouts(first_byte=2.0, idle=2.0))

    def over_the_wire(case: Case) -> Provider:
        transport = impatient if case is HANGS else patient
        return OpenAIProvider("up", f"{upstream[1]}/v1", SecretStr("k"), transport)

    make: dict[str, Providers] = {
        "fake": lambda case: FakeProvider.saying(case.told),
        "replay": lambda _: ReplayProvider(patience=0.01),
        "openai": over_the_wire,
    }
    yield make[request.param]
    await patient.aclose()
    await impatient.aclose()


def exchange() -> Exchange:
    async def read() -> bytes:
        raise AssertionError("a provider is handed the body")

    return Exchange(Chat(), read)


def body(case: Case, **more: Any) -> dict[str, Any]:
    return {"model": "ours", "messages": [{"role": "user", "content": case.directions}], **more}


async def answered(provider: Provider, case: Case, **more: Any) -> tuple[Exchange, list[Event]]:
    async with exchange() as ours:
        events = await provider.send(ours, MODEL, body(case, **more))
        return ours, [event async for event in events]


def text_of(events: list[Event]) -> str:
    folded = Chat().fold(events)
    return str(folded["choices"][0]["message"]["content"])


async def test_a_whole_answer_is_one_event(provider_for: Providers) -> None:
    ours, events = await answered(provider_for(ANSWERS), ANSWERS)
    assert [event.whole for event in events] == [True]
    assert text_of(events) == TEXT
    assert events[0].data["model"] == "theirs"
    usage = Chat().usage(events[0])
    assert usage is not None
    assert usage.exact
    assert ours.headers["x-govgate-upstream-request-id"].startswith("req_")


async def test_a_stream_says_what_the_whole_answer_says(provider_for: Providers) -> None:
    ours, events = await answered(provider_for(ANSWERS), ANSWERS, stream=True)
    assert len(events) > 3
    assert not any(event.whole for event in events)
    assert text_of(events) == TEXT
    assert Chat().fold(events)["choices"][0]["finish_reason"] == "stop"
    assert not any(event.data.get("usage") for event in events)
    assert ours.headers["x-govgate-upstream-request-id"].startswith("req_")


async def test_a_stream_and_a_whole_answer_have_the_same_usage(provider_for: Providers) -> None:
    wanted = {"stream": True, "stream_options": {"include_usage": True}}
    _, streamed = await answered(provider_for(ANSWERS), ANSWERS, **wanted)
    _, whole = await answered(provider_for(ANSWERS), ANSWERS)
    assert Chat().only_usage(streamed[-1])
    assert Chat().usage(streamed[-1]) == Chat().usage(whole[0])


async def test_the_bytes_of_an_event_are_its_data(provider_for: Providers) -> None:
    for streams in (False, True):
        _, events = await answered(provider_for(ANSWERS), ANSWERS, stream=streams)
        for event in events:
            assert Event(event.data).encode() == event.encode()


async def test_the_body_is_left_as_it_was(provider_for: Providers) -> None:
    asked = body(ANSWERS, stream=True)
    async with exchange() as ours:
        _ = [event async for event in await provider_for(ANSWERS).send(ours, MODEL, asked)]
    assert asked == body(ANSWERS, stream=True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("case", "status", "retryable", "retry_after"),
    [(TURNS_AWAY, 503, True, 2.0), (REFUSES, 400, False, None), (FAILS, 500, False, None)],
)
async def test_a_refusal(
    provider_for: Providers,
    case: Case,
    status: int,
    retryable: bool,
    retry_after: float | None,
    stream: bool,
) -> None:
    with pytest.raises(UpstreamError) as caught:
        await answered(provider_for(case), case, stream=stream)
    error = caught.value
    assert (error.code, error.status) == (Code.UPSTREAM_ERROR, status)
    assert (error.retryable, error.retry_after) == (retryable, retry_after)
    assert error.body is not None
    assert error.body["message"] == "as scripted"


@pytest.mark.parametrize("case", BREAKS)
async def test_an_answer_that_stops_short_is_an_error(provider_for: Providers, case: Case) -> None:
    heard: list[Event] = []

    async def listen(events: Events) -> None:
        async for event in events:
            heard.append(event)

    async with exchange() as ours:
        events = await provider_for(case).send(ours, MODEL, body(case, stream=True))
        with pytest.raises(UpstreamError) as caught:
            await listen(events)
    assert len(heard) >= 2
    assert TEXT.startswith(text_of(heard))
    assert not caught.value.retryable
    expected = Code.UPSTREAM_TIMEOUT if case is HANGS else Code.UPSTREAM_ERROR
    assert caught.value.code == expected


@pytest.mark.parametrize("case", BREAKS)
async def test_a_whole_answer_that_fails_is_an_error(provider_for: Providers, case: Case) -> None:
    with pytest.raises(UpstreamError) as caught:
        await answered(provider_for(case), case)
    assert not caught.value.retryable


async def test_an_action_it_does_not_serve_is_refused(provider_for: Providers) -> None:
    class Other(Chat):
        action = "rockets.launch"

    async with exchange() as ours:
        ours.dialect = Other()
        with pytest.raises(UpstreamError) as caught:
            await provider_for(ANSWERS).send(ours, MODEL, body(ANSWERS))
    assert caught.value.code == Code.UNKNOWN_URL
    assert not caught.value.retryable


@pytest.fixture
async def over_the_wire(upstream: tuple[ReplayServer, str]) -> AsyncIterator[OpenAIProvider]:
    transport = AiohttpTransport()
    yield OpenAIProvider("up", f"{upstream[1]}/v1", SecretStr("k"), transport)
    await transport.aclose()


SLOW = Case("@replay slow 0.02\n" + "word " * 1000, "word " * 1000)


async def test_leaving_in_the_middle_lets_go(provider_for: Providers) -> None:
    provider = provider_for(SLOW)
    async with exchange() as ours:
        events = await provider.send(ours, MODEL, body(SLOW, stream=True))
        await anext(events)
        await anext(events)
    assert not isinstance(provider, FakeProvider) or provider.hung_up == 1


async def test_leaving_in_the_middle_hangs_up(
    over_the_wire: OpenAIProvider, upstream: tuple[ReplayServer, str]
) -> None:
    async with exchange() as ours:
        events = await over_the_wire.send(ours, MODEL, body(SLOW, stream=True))
        await anext(events)
        await anext(events)
        seen = upstream[0].log.requests[-1]
        assert seen.ended is None
    await until(lambda: seen.ended is not None)
    assert seen.ended == "hung up"


async def test_a_caller_that_goes_before_the_answer_begins_hangs_up(
    over_the_wire: OpenAIProvider, upstream: tuple[ReplayServer, str]
) -> None:
    before = len(upstream[0].log.requests)

    async def call() -> None:
        async with exchange() as ours:
            await over_the_wire.send(ours, MODEL, body(HANGS))

    task = asyncio.create_task(call())
    await until(lambda: len(upstream[0].log.requests) > before)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: upstream[0].log.requests[-1].ended == "hung up")


async def until(true: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.005)
