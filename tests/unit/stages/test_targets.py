"""Several targets: the next is asked when the former certainly did nothing, and as allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.account import Account
from gateway.core.answer import Event, Events
from gateway.core.errors import Code, Denied, GatewayError, Malformed, Unavailable, UpstreamError
from gateway.core.exchange import Judgement, Outcome
from gateway.core.money import Price
from gateway.core.policy import Decision
from gateway.core.ports import Model, Turn
from gateway.core.records import Entry, Kind
from gateway.stages.route import Route
from tests.exchanges import SOMEBODY, allowing, chat_request, decided, heard, spoken, whole
from tests.fakes.journal import FakeBudget, FakeJournal

CHEAP, DEAR = Price(1_000_000, 2_000_000, "cheap"), Price(5_000_000, 9_000_000, "dear")
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


def target(name: str, price: Price | None = CHEAP, **more: Any) -> Model:
    return Model("m", name, "x", price=price, **more)


A, B, C = target("a"), target("b"), target("c")


def failed(status: int | None = 503, *, code: Code = Code.UPSTREAM_ERROR, sure: bool = True
           ) -> UpstreamError:  # fmt: skip
    return UpstreamError(code, "x", status=status, retryable=sure)


LOST = failed(None, code=Code.UPSTREAM_TIMEOUT, sure=False)
"""A failure after which the provider may still send a bill."""


class Watched:
    """Implements `Turn`; says what it was told."""

    def __init__(self, name: str, log: list[str]) -> None:
        self._name = name
        self._log = log

    def sent(self) -> None: ...

    def answered(self) -> None:
        self._log.append(f"{self._name} answered")

    def failed(self, error: UpstreamError) -> None:
        self._log.append(f"{self._name} failed")

    def leave(self) -> None: ...


class Crossing:
    """The stage before several targets, each of which does in turn what it is told."""

    def __init__(
        self,
        targets: Sequence[Model],
        told: Mapping[str, Sequence[GatewayError | Sequence[Event]]],
        *,
        left: int | None = 10**9,
        stream: bool = False,
        shut: Mapping[str, UpstreamError] | None = None,
        judged: Mapping[str, GatewayError | None] | None = None,
    ) -> None:
        self.journal = FakeJournal({} if left is None else {"b": FakeBudget(left)})
        self.exchange = decided(chat_request(max_tokens=100, stream=stream))
        self.exchange.targets = list(targets)
        self.exchange.turn_to(targets[0])
        budget = None if left is None else "b"
        self.exchange.known["principal"] = replace(SOMEBODY, budget_id=budget)
        record = self.journal.begin(
            self.exchange.id, self.exchange.principal, Entry(Kind.OPENED, {})
        )
        self.exchange.account = Account(self.exchange, record)
        if judged is not None:
            self.exchange.judge = self._judge
        self._judged = judged or {}
        self._told = {name: list(each) for name, each in told.items()}
        self._shut = shut or {}
        self.asked: list[str] = []
        self.watched: list[str] = []

    async def _judge(self, model: Model) -> Judgement:
        if model.upstream not in self._judged:
            return Judgement(self.exchange.decision)
        again = Decision(f"dec_{model.upstream}", "sha256:1", allowing())
        return Judgement(again, self._judged[model.upstream])

    async def _enter(self, model: Model) -> Turn:
        if model.upstream in self._shut:
            raise self._shut[model.upstream]
        return Watched(model.upstream, self.watched)

    async def __call__(self, exchange: Any) -> Events:
        name = exchange.model.upstream
        self.asked.append(name)
        told = self._told[name].pop(0)
        if isinstance(told, GatewayError):
            raise told
        return _said(told)

    async def go(self, **route: Any) -> list[Event]:
        return await heard(await Route(enter=self._enter, **route)(self.exchange, self))

    async def refused(self, **route: Any) -> GatewayError:
        with pytest.raises(GatewayError) as refused:
            await self.go(**route)
        return refused.value

    async def closed(self) -> dict[str, Any]:
        await self.exchange.account.close(Outcome.COMPLETED, None, None)
        return self.journal.entries()[-1].facts

    @property
    def attempts(self) -> list[dict[str, Any]]:
        return [e.facts for e in self.journal.entries() if e.kind is Kind.ATTEMPT]


async def _said(events: Sequence[Event]) -> Events:
    for event in events:
        if "break" in event.data:
            raise LOST
        yield Event(orjson.loads(event.encode()), whole=event.whole)


def answer() -> list[Event]:
    return [Event({**whole("x").data, "usage": USAGE}, whole=True)]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none is made."""
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return asked


class TestFallback:
    @pytest.mark.parametrize(
        ("error", "word"),
        [
            (failed(429), "http_429"),
            (failed(503), "http_503"),
            (failed(None, code=Code.UPSTREAM_UNAVAILABLE), "upstream_unavailable"),
            (failed(None, code=Code.UNKNOWN_URL, sure=False), "unknown_url"),
            (Malformed("not here"), "invalid_request"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    async def test_the_next_target_is_asked_at_once(
        self, error: GatewayError, word: str, waits: list[float]
    ) -> None:
        road = Crossing([A, B], {"a": [error], "b": [answer()]})
        await road.go()
        assert (road.asked, waits) == (["a", "b"], [])
        assert [facts["upstream"] for facts in road.attempts] == ["a", "b"]
        assert [facts.get("after") for facts in road.attempts] == [None, word]
        assert road.exchange.headers["x-govgate-model"] == "b/x"
        assert road.exchange.headers["x-govgate-upstream-attempts"] == "2"
        assert (await road.closed())["cost_micro_usd"] == 3 + 10

    @pytest.mark.parametrize("error", [LOST, failed(500, sure=False), failed(400, sure=False)])
    async def test_what_may_have_been_done_or_cannot_be_is_not_asked_elsewhere(
        self, error: UpstreamError
    ) -> None:
        road = Crossing([A, B], {"a": [error], "b": [answer()]})
        assert await road.refused() is error
        assert road.asked == ["a"]

    async def test_nor_is_an_answer_that_has_begun(self) -> None:
        broken = [*spoken(["hel", "lo"])[:2], Event({"break": 1})]
        road = Crossing([A, B], {"a": [broken], "b": [answer()]}, stream=True)
        assert await road.refused() is LOST
        assert road.asked == ["a"]
        assert road.watched == ["a answered", "a failed"]

    async def test_each_is_asked_once_before_any_is_asked_again(self, waits: list[float]) -> None:
        no = [failed(), failed()]
        road = Crossing([A, B, C], {"a": no, "b": no, "c": no})
        await road.refused(attempts=5)
        assert road.asked == ["a", "b", "c", "a", "b"]
        assert waits == [0.1, 0.2]

    async def test_all_are_asked_even_where_fewer_attempts_are_set(self) -> None:
        road = Crossing([A, B, C], {"a": [failed()], "b": [failed()], "c": [answer()]})
        await road.go(attempts=1)
        assert road.asked == ["a", "b", "c"]


class TestWhoIsNotAsked:
    async def test_one_that_rests_is_passed_over_on_record(self) -> None:
        road = Crossing([A, B], {"b": [answer()]}, shut={"a": failed(429)})
        await road.go()
        [attempt] = road.attempts
        assert attempt["passed_over"] == [
            {"upstream": "a", "upstream_model": "x", "why": "upstream_error"}
        ]
        assert "after" not in attempt
        assert road.exchange.headers["x-govgate-upstream-attempts"] == "1"

    async def test_where_all_rest_the_first_to_be_back_is_named(self) -> None:
        soon = UpstreamError(Code.OVERLOADED, "x", retry_after=1.0, retryable=True)
        later = UpstreamError(Code.UPSTREAM_ERROR, "x", status=429, retry_after=9.0, retryable=True)
        road = Crossing([A, B], {}, shut={"a": later, "b": soon})
        assert await road.refused() is soon
        assert (road.asked, road.attempts) == ([], [])
        closed = await road.closed()
        assert closed["cost_micro_usd"] == 0
        assert [each["upstream"] for each in closed["passed_over"]] == ["a", "b"]

    async def test_a_target_that_the_policy_forbids_is_not_asked(self) -> None:
        no = Denied(Code.CONTENT_FILTER, "no")
        error = failed()
        road = Crossing([A, B], {"a": [error]}, judged={"b": no})
        assert await road.refused(attempts=1) is error
        assert road.asked == ["a"]
        closed = await road.closed()
        assert closed["passed_over"] == [
            {"upstream": "b", "upstream_model": "x", "why": "forbidden", "decision": "dec_b"}
        ]
        assert closed["cost_micro_usd"] == 0

    async def test_where_all_are_forbidden_that_is_the_answer(self) -> None:
        no = Denied(Code.CONTENT_FILTER, "no")
        road = Crossing([B], {}, judged={"b": no})
        assert await road.refused() is no

    async def test_an_allowed_target_is_recorded_with_both_decisions(self) -> None:
        road = Crossing([A, B], {"a": [failed()], "b": [answer()]}, judged={"b": None})
        await road.go()
        first, second = road.attempts
        assert (first["decision"]["id"], second["decided_again"]["id"]) == ("dec_1", "dec_b")
        assert second["decided_again"]["effect"] == "allow"

    async def test_a_policy_that_is_gone_lets_nobody_else_be_asked(self) -> None:
        road = Crossing([A, B], {"a": [failed()]}, judged={})
        gone = Unavailable(Code.POLICY_UNAVAILABLE, "x")

        async def judge(model: Model) -> Judgement:
            if model is B:
                raise gone
            return Judgement(road.exchange.decision)

        road.exchange.known["judge"] = judge
        assert await road.refused() is gone
        assert (road.asked, (await road.closed())["cost_micro_usd"]) == (["a"], 0)


class TestMoney:
    async def test_a_dearer_target_holds_the_difference(self) -> None:
        dear = target("b", DEAR)
        road = Crossing([A, dear], {"a": [failed()], "b": [answer()]})
        await road.go()
        first, second = (facts["hold_micro_usd"] for facts in road.attempts)
        body = len(orjson.dumps({**road.exchange.request, "model": "x"}))
        assert (first, first + second) == (CHEAP.cost(body, 100), DEAR.cost(body, 100))
        assert (await road.closed())["cost_micro_usd"] == DEAR.cost(3, 5)

    async def test_a_cheaper_one_holds_nothing_more(self) -> None:
        road = Crossing([target("a", DEAR), B], {"a": [failed()], "b": [answer()]})
        await road.go()
        assert road.attempts[1]["hold_micro_usd"] == 0

    async def test_one_that_does_not_fit_or_has_no_price_is_passed_over(self) -> None:
        error = failed()
        road = Crossing(
            [A, target("b", Price(10**9, 10**9, "x")), target("c", None)],
            {"a": [error]},
            left=1_000,
        )
        assert await road.refused(attempts=1) is error
        assert road.asked == ["a"]
        whys = [each["why"] for each in (await road.closed())["passed_over"]]
        assert whys == ["insufficient_quota", "model_not_priced"]
        assert road.journal.budgets["b"].settled == 0

    async def test_what_may_be_billed_is_asked_again_only_where_that_was_chosen(self) -> None:
        twice = replace(A, retry_billed=True)
        road = Crossing([twice, B], {"a": [LOST], "b": [answer()]})
        await road.go()
        first, second = (facts["hold_micro_usd"] for facts in road.attempts)
        assert first == second  # both may have to be paid
        assert road.attempts[1]["after"] == "upstream_timeout"
        closed = await road.closed()
        assert closed["cost_micro_usd"] == first + CHEAP.cost(3, 5)
        assert closed["cost_exact"] is False

    async def test_what_the_caller_did_wrong_is_never_asked_again(self) -> None:
        wrong = failed(400, sure=False)
        road = Crossing([replace(A, retry_billed=True), B], {"a": [wrong]})
        assert await road.refused() is wrong
        assert (await road.closed())["cost_micro_usd"] == 0

    async def test_a_lost_call_to_a_cheap_target_is_not_settled_at_the_dear_ones_price(
        self,
    ) -> None:
        road = Crossing([target("a", DEAR), B], {"a": [failed()], "b": [LOST]})
        assert await road.refused() is LOST
        body = len(orjson.dumps({**road.exchange.request, "model": "x"}))
        assert (await road.closed())["cost_micro_usd"] == CHEAP.cost(body, 100)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([0, 1_000_000, 7_000_000]),
                st.sampled_from(["turned away", "lost", "answers", "wrong"]),
                st.booleans(),
            ),
            min_size=1,
            max_size=4,
        ),
        st.integers(0, 5_000),
    )
    async def test_whatever_happens_what_may_be_billed_is_held_and_settled(
        self, shape: list[tuple[int, str, bool]], left: int
    ) -> None:
        """The worst bill, of all that was asked, is never above what is settled or held."""
        outcomes: dict[str, GatewayError | Sequence[Event]] = {
            "turned away": failed(),
            "lost": LOST,
            "answers": answer(),
            "wrong": failed(400, sure=False),
        }
        targets = [
            target(f"t{at}", Price(rate, rate, "v"), retry_billed=again)
            for at, (rate, _, again) in enumerate(shape)
        ]
        told = {f"t{at}": [outcomes[how]] for at, (_, how, _) in enumerate(shape)}
        road = Crossing(targets, told, left=left)
        with suppress(GatewayError):
            await road.go(attempts=1)
        rates = {f"t{at}": (rate, how) for at, (rate, how, _) in enumerate(shape)}
        bodies = [e for e in road.journal.entries() if e.kind is Kind.ATTEMPT]
        bill = 0
        for name, entry in zip(road.asked, bodies, strict=True):
            rate, how = rates[name]
            if how == "answers":
                bill += Price(rate, rate, "v").cost(3, 5)
            elif how == "lost":
                sent = orjson.loads(entry.parts["request_sent"])
                most = sent.get("max_completion_tokens") or sent["max_tokens"]
                bill += Price(rate, rate, "v").cost(len(entry.parts["request_sent"]), most)
        held = road.exchange.account.held
        assert bill <= held <= left
        await road.closed()
        budget = road.journal.budgets["b"]
        assert (budget.settled, budget.reserved) == (bill, 0)
