"""What is sent is held first, at a true upper bound; tried again only when nothing came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.account import Account
from gateway.core.answer import Event, Events
from gateway.core.errors import Code, Denied, GatewayError, OverBudget, UpstreamError
from gateway.core.exchange import Exchange, Outcome
from gateway.core.findings import Finding
from gateway.core.money import Price, Usage
from gateway.core.ports import Model
from gateway.core.records import Entry, Kind
from gateway.stages.route import OPAQUE_TOKENS, Route, dispatch
from tests.exchanges import CHAT, SOMEBODY, chat_request, decided, heard, spoken
from tests.exchanges import whole as whole_of
from tests.fakes.journal import FakeBudget, FakeJournal
from tests.fakes.provider import FakeProvider

PRICE = Price(1_000_000, 2_000_000, "v1")  # a micro-dollar for a token read, two for one said
RICH = 10**12
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


class Road:
    """The stage in front of an upstream that answers as told, in turn; waits are noted."""

    def __init__(
        self,
        request: dict[str, Any] | None = None,
        *,
        left: int | None = RICH,
        price: Price | None = PRICE,
        told: Sequence[UpstreamError | Sequence[Event]] = ([whole_of("x")],),
        **model: Any,
    ) -> None:
        self.journal = FakeJournal({} if left is None else {"b": FakeBudget(left)})
        self.exchange = decided(request or chat_request())
        self.exchange.known["model"] = Model("m", "fake", "m-2026", price=price, **model)
        budget = None if left is None else "b"
        self.exchange.known["principal"] = replace(SOMEBODY, budget_id=budget)
        record = self.journal.begin(
            self.exchange.id, self.exchange.principal, Entry(Kind.OPENED, {})
        )
        self.exchange.account = Account(self.exchange, record)
        self.sent: list[dict[str, Any]] = []
        self._told = list(told)

    async def __call__(self, exchange: Exchange) -> Events:
        assert self.journal.kinds().count(Kind.ATTEMPT) == len(self.sent) + 1  # on record first
        self.sent.append(orjson.loads(orjson.dumps(exchange.request)))
        told = self._told[min(len(self.sent), len(self._told)) - 1]
        if isinstance(told, UpstreamError):
            raise told
        return _said(told)

    async def go(self, **route: Any) -> list[Event]:
        return await heard(await Route(**route)(self.exchange, self))

    async def refused(self, **route: Any) -> GatewayError:
        with pytest.raises(GatewayError) as refused:
            await self.go(**route)
        return refused.value

    @property
    def holds(self) -> list[int]:
        """What each attempt held."""
        attempts = [e for e in self.journal.entries() if e.kind is Kind.ATTEMPT]
        return [entry.facts["hold_micro_usd"] for entry in attempts]

    @property
    def bytes_sent(self) -> int:
        attempt = [e for e in self.journal.entries() if e.kind is Kind.ATTEMPT][-1]
        return len(attempt.parts["request_sent"])


async def _said(events: Sequence[Event]) -> Events:
    for event in events:
        yield Event(orjson.loads(event.encode()), whole=event.whole)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none is made."""
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return asked


def broken(*, retryable: bool = True, status: int | None = None, wait: float | None = None
           ) -> UpstreamError:  # fmt: skip
    return UpstreamError(
        Code.UPSTREAM_ERROR, "x", retryable=retryable, status=status, retry_after=wait
    )


class TestWhatIsHeld:
    @given(
        st.text(max_size=30),
        st.integers(1, 5_000),
        st.integers(1, 4),
        st.integers(0, 10**8),
        st.integers(0, 10**8),
    )
    async def test_it_covers_the_most_that_can_be_used(
        self, text: str, limit: int, choices: int, read: int, said: int
    ) -> None:
        price = Price(read, said, "v")
        road = Road(chat_request(text, max_tokens=limit, n=choices), price=price)
        await road.go()
        [held] = road.holds
        # no tokeniser makes more tokens than bytes, of the text or of all the rest
        assert held >= price.cost(len(orjson.dumps(road.sent[0])), limit * choices)
        assert held == price.cost(road.bytes_sent, limit * choices)

    async def test_a_limit_is_written_where_the_caller_set_none(self) -> None:
        road = Road()
        await road.go(default_output=100)
        assert CHAT.output_limit(road.sent[0]) == 100
        assert road.holds == [road.bytes_sent + 200]

    async def test_the_models_own_limit_comes_before_the_default(self) -> None:
        road = Road(max_output_tokens=70)
        await road.go(default_output=100)
        assert CHAT.output_limit(road.sent[0]) == 70

    @pytest.mark.parametrize("label", OPAQUE_TOKENS)
    async def test_parts_that_are_not_bounded_by_their_bytes_are_bounded(self, label: str) -> None:
        road = Road(chat_request(max_tokens=10))
        road.exchange.found([Finding("opaque", label, "/messages/0/content/1", 0, 0, 1.0)])
        await road.go()
        assert road.holds == [road.bytes_sent + OPAQUE_TOKENS[label] + 20]

    @pytest.mark.parametrize("label", ["file", "part"])
    async def test_what_has_no_bound_is_refused_under_a_budget(self, label: str) -> None:
        road = Road()
        road.exchange.found([Finding("opaque", label, "/messages/0/content/1", 0, 0, 1.0)])
        error = await road.refused()
        assert isinstance(error, Denied)
        assert error.code is Code.MODEL_NOT_PRICED
        assert (road.sent, road.journal.entries()) == ([], [])

    async def test_a_model_without_a_price_is_refused_under_a_budget(self) -> None:
        road = Road(price=None)
        error = await road.refused()
        assert (error.code, error.param) == (Code.MODEL_NOT_PRICED, "model")
        assert road.sent == []

    @pytest.mark.parametrize("price", [None, PRICE], ids=["no price", "a price"])
    async def test_without_a_budget_nothing_is_asked_of_the_caller(self, price: Any) -> None:
        road = Road(left=None, price=price)
        road.exchange.found([Finding("opaque", "file", "/messages/0/content/1", 0, 0, 1.0)])
        await road.go(default_output=100)
        assert road.sent == [chat_request()]
        assert road.holds == [road.bytes_sent + 200 if price else 0]

    async def test_the_body_that_is_recorded_names_the_model_as_its_provider_does(self) -> None:
        road = Road()
        await road.go()
        [attempt] = [e for e in road.journal.entries() if e.kind is Kind.ATTEMPT]
        assert orjson.loads(attempt.parts["request_sent"])["model"] == "m-2026"
        assert road.exchange.request["model"] == "m"


class TestWhatDoesNotFit:
    async def test_the_output_is_cut_down_to_what_fits(self) -> None:
        road = Road(chat_request(max_tokens=1_000), left=500)
        await road.go()
        fitting = int(road.exchange.headers["x-govgate-output-limit"])
        assert CHAT.output_limit(road.sent[0]) == fitting
        assert fitting >= (500 - len(orjson.dumps(road.sent[0])) - 20) // 2
        assert road.holds == [road.bytes_sent + 2 * fitting]
        assert road.holds[0] <= 500

    async def test_a_few_words_are_no_answer(self) -> None:
        road = Road(chat_request(max_tokens=1_000), left=200)
        error = await road.refused()
        assert isinstance(error, OverBudget)
        assert error.code is Code.INSUFFICIENT_QUOTA
        assert (road.sent, road.holds) == ([], [])
        assert road.journal.budgets["b"].reserved == 0

    async def test_unless_few_were_asked_for(self) -> None:
        road = Road(chat_request(max_tokens=10), left=200)
        await road.go()
        assert CHAT.output_limit(road.sent[0]) == 10
        assert "x-govgate-output-limit" not in road.exchange.headers

    async def test_what_costs_too_much_to_read_is_refused(self) -> None:
        free_to_say = Price(1_000_000, 0, "v")
        road = Road(chat_request("x" * 300, max_tokens=1_000), left=300, price=free_to_say)
        assert isinstance(await road.refused(), OverBudget)

    @given(
        left=st.integers(0, 4_000),
        limit=st.integers(1, 2_000),
        read=st.integers(0, 3_000_000),
        said=st.integers(0, 3_000_000),
        choices=st.integers(1, 3),
    )
    @example(left=1, limit=130, read=1, said=2564, choices=3)  # both shares are fractions
    async def test_as_much_as_fits_is_asked_for_and_never_more(
        self, left: int, limit: int, read: int, said: int, choices: int
    ) -> None:
        price = Price(read, said, "v")
        road = Road(chat_request(max_tokens=limit, n=choices), left=left, price=price)
        useful = min(limit, Route.LEAST_USEFUL)
        size = len(orjson.dumps({**road.exchange.request, "model": "m-2026"}))
        fits = price.cost(size, useful * choices) <= left
        try:
            await road.go()
        except OverBudget:
            assert not fits
            assert road.journal.budgets["b"].reserved == 0
            return
        asked = CHAT.output_limit(road.sent[0])
        assert asked is not None
        assert useful <= asked <= limit
        assert road.holds[0] <= left
        if asked < limit:  # one token more of each choice would not have fitted
            assert price.cost(size, (asked + 1) * choices) > left


class TestAgain:
    async def test_a_call_that_came_to_nothing_is_tried_again_and_held_once(
        self, waits: list[float]
    ) -> None:
        road = Road(chat_request(max_tokens=10), told=[broken(), [whole_of("x")]])
        events = await road.go()
        assert len(events) == 1
        assert len(road.sent) == 2
        assert road.holds == [road.bytes_sent + 20, 0]
        assert road.exchange.headers["x-govgate-upstream-attempts"] == "2"
        assert len(waits) == 1

    async def test_a_second_attempt_fits_where_the_first_took_all(self) -> None:
        road = Road(chat_request(max_tokens=10), told=[broken(), [whole_of("x")]])
        size = len(orjson.dumps({**road.exchange.request, "model": "m-2026"}))
        road.journal.budgets["b"].limit = size + 20
        await road.go()
        assert road.holds == [size + 20, 0]

    async def test_the_last_failure_is_raised(self) -> None:
        errors = [broken(), broken(), broken()]
        road = Road(told=errors)
        assert await road.refused(attempts=3) is errors[-1]
        assert len(road.sent) == 3

    async def test_what_may_have_been_done_is_not_done_again(self) -> None:
        error = broken(retryable=False, status=500)
        road = Road(told=[error, [whole_of("x")]])
        assert await road.refused(attempts=5) is error
        assert len(road.sent) == 1

    @pytest.mark.parametrize(("asked", "waited"), [(None, 0.1), (0.5, 0.5), (2.0, 2.0)])
    async def test_it_waits_as_long_as_it_is_told(
        self, asked: float | None, waited: float, waits: list[float]
    ) -> None:
        await Road(told=[broken(wait=asked), [whole_of("x")]]).go()
        assert waits == [waited]

    async def test_but_not_longer_than_a_caller_would(self, waits: list[float]) -> None:
        error = broken(wait=2.1)
        road = Road(told=[error, [whole_of("x")]])
        assert await road.refused() is error
        assert (len(road.sent), waits) == (1, [])

    @pytest.mark.parametrize(
        ("error", "used"),
        [
            (broken(), Usage(0, 0, exact=True)),
            (broken(retryable=False, status=400), Usage(0, 0, exact=True)),
            (broken(retryable=False, status=429), Usage(0, 0, exact=True)),
            (broken(retryable=False, status=408), None),
            (broken(retryable=False, status=500), None),
            (broken(retryable=False), None),
        ],
        ids=["never came about", "400", "429", "408", "500", "no status"],
    )
    async def test_what_was_turned_away_costs_nothing(
        self, error: UpstreamError, used: Usage | None
    ) -> None:
        road = Road(told=[error])
        await road.refused(attempts=1)
        assert road.exchange.usage == used
        await road.exchange.account.close(Outcome.FAILED, "x", None)
        budget = road.journal.budgets["b"]
        assert budget.reserved == 0
        assert budget.settled == (0 if used else road.holds[0])


class TestWhatAProviderSaidWhenItFailed:
    def failed(self, status: int | None, message: str) -> UpstreamError:
        said = broken(status=status)
        said.body = {"message": message}
        return said

    async def test_each_attempts_words_are_kept(self) -> None:
        told = [self.failed(503, "busy"), broken(), self.failed(None, "gone")]
        road = Road(told=told)
        await road.refused(attempts=3)
        assert [orjson.loads(said) for said in road.exchange.failures] == [
            {"status": 503, "error": {"message": "busy"}},
            {"status": None, "error": {"message": "gone"}},
        ]

    async def test_also_where_a_stream_breaks(self) -> None:
        road = Road(told=[spoken(["hel"])])
        events = await Route()(road.exchange, self.breaking)
        with pytest.raises(UpstreamError):
            await heard(events)
        [said] = road.exchange.failures
        assert orjson.loads(said)["error"] == {"message": "broke"}

    async def breaking(self, exchange: Exchange) -> Events:
        async def said() -> Events:
            yield spoken(["hel"])[1]
            raise self.failed(None, "broke")

        return said()


class TestWhatWasSaid:
    def counted(self) -> list[Event]:
        usage = Event({"id": "c", "choices": [], "usage": USAGE})
        return [*spoken(["hel", "lo"]), usage]

    async def test_usage_is_asked_for_and_hidden_from_who_did_not(self) -> None:
        road = Road(chat_request(stream=True), told=[self.counted()])
        events = await road.go()
        assert road.sent[0]["stream_options"] == {"include_usage": True}
        assert not any("usage" in event.data for event in events)
        assert len(events) == len(self.counted()) - 1
        assert road.exchange.usage == Usage(3, 5, exact=True)
        assert len(road.exchange.heard) == len(self.counted())

    async def test_and_shown_to_who_did(self) -> None:
        options = {"include_usage": True}
        road = Road(chat_request(stream=True, stream_options=options), told=[self.counted()])
        assert (await road.go())[-1].data["usage"] == USAGE

    async def test_usage_beside_text_is_hidden_and_the_text_stays(self) -> None:
        said = spoken(["hi"])
        for event in said:
            event.data["usage"] = USAGE
        road = Road(chat_request(stream=True), told=[said])
        events = await road.go()
        assert not any("usage" in event.data for event in events)
        assert CHAT.fold(events)["choices"][0]["message"]["content"] == "hi"

    async def test_a_whole_answer_keeps_its_usage(self) -> None:
        said = Event({**whole_of("x").data, "usage": USAGE}, whole=True)
        road = Road(told=[[said]])
        assert (await road.go())[0].data["usage"] == USAGE
        assert road.exchange.usage == Usage(3, 5, exact=True)

    async def test_the_last_count_is_the_one_that_counts(self) -> None:
        growing = [chunk_using(tokens) for tokens in (1, 2, 9)]
        road = Road(chat_request(stream=True), told=[growing])
        await road.go()
        assert road.exchange.usage == Usage(3, 9, exact=True)

    async def test_what_is_heard_is_what_was_said_before_anybody_edits_it(self) -> None:
        road = Road()
        [event] = await road.go()
        event.data["choices"] = []
        event.edited()
        assert orjson.loads(road.exchange.heard[0]) == whole_of("x").data


def chunk_using(tokens: int) -> Event:
    usage = {"prompt_tokens": 3, "completion_tokens": tokens}
    return Event({"id": "c", "choices": [], "usage": usage})


async def test_each_model_is_served_by_its_own_provider() -> None:
    one, other = FakeProvider.saying("one"), FakeProvider.saying("other")
    send = dispatch({"fake": one, "other": other})
    exchange = decided(chat_request())
    await heard(await send(exchange))
    assert [sent.model.id for sent in one.sent] == ["m"]
    assert other.sent == []
