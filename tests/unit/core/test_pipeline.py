"""Stages in order: out to the model through each, and back through each."""

from __future__ import annotations

import pytest

from gateway.core.answer import Event, Events
from gateway.core.errors import Code, Denied
from gateway.core.exchange import Exchange
from gateway.core.pipeline import Proceed, pipeline
from tests.exchanges import answering, chat_request, exchange_of, heard, whole


class Noting:
    """A stage that notes when it is passed, in which direction; and may refuse or repeat."""

    def __init__(self, name: str, passed: list[str], *, refuses: bool = False, times: int = 1
                 ) -> None:  # fmt: skip
        self.name, self.passed, self.refuses, self.times = name, passed, refuses, times

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        self.passed.append(f"{self.name} out")
        if self.refuses:
            raise Denied(Code.CONTENT_FILTER, self.name)
        for _ in range(self.times):
            events = await proceed(exchange)
        return self._back(events)

    async def _back(self, events: Events) -> Events:
        async for event in events:
            self.passed.append(f"{self.name} back")
            yield event


async def run(stages: list[Noting], said: list[Event]) -> list[Event]:
    return await heard(await pipeline(stages, answering(said))(exchange_of(chat_request())))


async def test_the_first_stage_is_outermost() -> None:
    passed: list[str] = []
    events = await run([Noting("a", passed), Noting("b", passed)], [whole("x")])
    assert passed == ["a out", "b out", "b back", "a back"]
    assert [event.data for event in events] == [whole("x").data]


async def test_without_stages_the_upstream_is_asked() -> None:
    assert len(await run([], [whole("x")])) == 1


async def test_a_refusal_goes_no_further() -> None:
    passed: list[str] = []
    stages = [Noting("a", passed), Noting("b", passed, refuses=True), Noting("c", passed)]
    with pytest.raises(Denied, match="b"):
        await run(stages, [whole("x")])
    assert passed == ["a out", "b out"]


async def test_a_stage_may_proceed_twice() -> None:
    passed: list[str] = []
    await run([Noting("a", passed, times=2), Noting("b", passed)], [whole("x")])
    assert passed == ["a out", "b out", "b out", "b back", "a back"]


async def test_one_pipeline_serves_many_exchanges() -> None:
    go = pipeline([Noting("a", [])], answering([whole("x")]))
    for _ in range(2):
        assert len(await heard(await go(exchange_of(chat_request())))) == 1
