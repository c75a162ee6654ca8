"""One choice for each exchange, before anything else is done with it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.answer import Events
from gateway.core.exchange import Exchange
from gateway.core.pipeline import Joined, Proceed, Stage, pipeline
from gateway.stages.govern import Govern
from tests.exchanges import answering, chat_request, exchange_of, heard, whole


def noting(name: str, seen: list[str]) -> Stage:
    async def stage(exchange: Exchange, proceed: Proceed) -> Events:
        seen.append(name)
        return await proceed(exchange)

    return stage


async def test_an_exchange_passes_the_stages_that_were_chosen_and_no_others() -> None:
    seen: list[str] = []
    under = {name: Joined([noting(f"{name}{n}", seen) for n in range(3)]) for name in "ab"}
    chosen: list[Exchange] = []

    def choose(exchange: Exchange) -> Stage:
        chosen.append(exchange)
        return under["ab"[len(chosen) - 1]]

    passing = pipeline([Govern(choose), noting("route", seen)], answering([whole("hi")]))
    for _ in range(2):
        events = await passing(exchange_of(chat_request()))
        assert len(await heard(events)) == 1
    assert len(chosen) == 2
    assert seen == ["a0", "a1", "a2", "route", "b0", "b1", "b2", "route"]


async def test_joined_stages_go_on_to_whatever_they_are_joined_onto() -> None:
    seen: list[str] = []
    joined = Joined([noting("one", seen)])
    exchange = exchange_of(chat_request())
    said: list[Sequence[object]] = []
    for text in ("a", "b"):
        events = await joined(exchange, answering([whole(text)]))
        said.append(
            [event.data["choices"][0]["message"]["content"] for event in await heard(events)]
        )
    assert said == [["a"], ["b"]]
