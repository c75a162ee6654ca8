"""The policy is asked once, in facts; nothing passes but what it allows."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.catalogue import StaticCatalogue
from gateway.core.answer import Events
from gateway.core.errors import Code, Denied, GatewayError, Unavailable
from gateway.core.exchange import Call, Exchange
from gateway.core.findings import Direction, Finding
from gateway.core.ports import Model
from gateway.core.principal import Principal
from gateway.stages.decide import Decide
from tests.exchanges import CHAT, SOMEBODY, answering, chat_request
from tests.fakes.journal import FakeBudget, FakeJournal
from tests.fakes.policy import ALLOW, FakePolicy, FixedPolicy

SCHEMA = Path(__file__).parents[3] / "policies" / "schemas" / "question.json"
QUESTION = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
NOW = datetime(2026, 7, 1, 12, 0, 0, 999_999, tzinfo=UTC)
MODEL = Model("m", "openai", "m-2026", hosting="external", region="eu", tags=("chat",))


def coming(
    request: Mapping[str, Any] | None = None,
    principal: Principal = SOMEBODY,
    attributes: Mapping[str, str] | None = None,
) -> Exchange:
    """An exchange that was authenticated and inspected."""
    body = orjson.dumps(request or chat_request())

    async def read() -> bytes:
        return body

    exchange = Exchange(CHAT, read, Call("key", attributes or {}))
    exchange.received = body
    exchange.request = copy.deepcopy(dict(request or chat_request()))
    exchange.principal = principal
    return exchange


class Desk:
    """The stage, and what it asks."""

    def __init__(
        self, policy: FakePolicy | None = None, journal: FakeJournal | None = None
    ) -> None:
        self.policy = policy or FixedPolicy(ALLOW)
        self.calls = 0
        catalogue = StaticCatalogue([MODEL], [], lambda model: None)
        self.stage = Decide(self.policy, catalogue, journal or FakeJournal(), now=lambda: NOW)

    async def decide(self, exchange: Exchange) -> None:
        async def upstream(exchange: Exchange) -> Events:
            self.calls += 1
            return await answering([])(exchange)

        await self.stage(exchange, upstream)

    async def refused(self, exchange: Exchange) -> GatewayError:
        with pytest.raises(GatewayError) as refused:
            await self.decide(exchange)
        assert self.calls == 0
        return refused.value


def answer(effect: str, *reasons: Mapping[str, Any]) -> FixedPolicy:
    filled = [
        {
            "rule": "r",
            "code": "c",
            "message": {"en": "No."},
            "severity": "high",
            "facts": {},
            **given,
        }
        for given in reasons
    ]
    return FixedPolicy({**ALLOW, "effect": effect, "reasons": filled}, "sha256:fixed")


async def test_what_is_allowed_goes_on_under_a_decision() -> None:
    desk, exchange = Desk(), coming()
    await desk.decide(exchange)
    assert desk.calls == 1
    assert exchange.model == MODEL
    assert exchange.decision.revision == "sha256:fixed"
    assert exchange.headers == {
        "x-govgate-decision": exchange.decision.id,
        "x-govgate-policy-revision": "sha256:fixed",
    }
    assert desk.policy.asked == [exchange.question]


async def test_a_full_question() -> None:
    tools = [{"type": "function", "function": {"name": "search"}}]
    request = chat_request("hi", stream=True, max_tokens=7, tools=tools)
    principal = replace(SOMEBODY, tags=("public",), roles=("developer",), budget_id="b")
    attributes = {
        "x-govgate-user": "u1", "x-govgate-tags": "a,b", "x-govgate-purpose": "support",
        "x-govgate-session-id": "s1", "traceparent": "00-x",
    }  # fmt: skip
    exchange = coming(request, principal, attributes)
    exchange.found([Finding("pii", "EMAIL", "/messages/0/content", 3, 9, 0.75)])
    exchange.unavailable.append("presidio")
    exchange.labels.append("internal")
    journal = FakeJournal({"b": FakeBudget(2_000_000, reserved=250_000, settled=500_000)})
    desk = Desk(journal=journal)
    await desk.decide(exchange)
    assert exchange.question == {
        "schema_version": 1,
        "subject": {
            "type": "app",
            "id": "shop-bot",
            "properties": {"org": "acme", "team": "support", "tags": ["public"],
                           "roles": ["developer"], "user": "u1"},
        },
        "action": {"name": "chat.completions.create",
                   "properties": {"stage": "request", "stream": True}},
        "resource": {
            "type": "model",
            "id": "m",
            "properties": {"provider": "openai", "hosting": "external", "region": "eu",
                           "tags": ["chat"]},
        },
        "context": {
            "time": "2026-07-01T12:00:00Z",
            "findings": [{"kind": "pii", "label": "EMAIL", "where": "/messages/0/content",
                          "direction": "input", "score": 0.75}],
            "unavailable": ["presidio"],
            "request": {"max_tokens": 7, "tools": ["search"], "modalities": ["text"],
                        "answers": ["text"], "tokens": len(exchange.received) // 4,
                        "purpose": "support", "tags": ["a", "b"]},
            "tool_call": None,
            "budget": {"remaining_usd": "1.25", "utilisation": 0.375},
            "estimate_usd": None,
            "review": None,
            "labels": ["internal"],
            "session": {"id": "s1", "turn": 0},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("journal", "budget"),
    [
        (FakeJournal(), None),
        (FakeJournal.with_limits({"b": 0}), {"remaining_usd": "0.00", "utilisation": 1.0}),
        (FakeJournal({"b": FakeBudget(3, settled=3)}), {"remaining_usd": "0.00", "utilisation": 1}),
        (FakeJournal({"b": FakeBudget(3, settled=1)}),
         {"remaining_usd": "0.000002", "utilisation": 0.3333}),
    ],
    ids=["not seen yet", "nothing to spend", "spent", "begun"],
)  # fmt: skip
async def test_what_is_left_of_a_budget_is_a_fact(journal: FakeJournal, budget: Any) -> None:
    exchange = coming(principal=replace(SOMEBODY, budget_id="b"))
    await Desk(journal=journal).decide(exchange)
    assert exchange.question["context"]["budget"] == budget
    assert QUESTION.is_valid(exchange.question)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ROLES = st.sampled_from(["system", "user", "assistant"])
FINDINGS = st.builds(
    Finding,
    kind=st.sampled_from(["pii", "phrase", "opaque"]),
    label=st.sampled_from(["A", "B_1"]),
    where=TEXTS,
    start=st.integers(-5, 5),
    end=st.integers(0, 9),
    score=st.floats(0, 1),
    direction=st.sampled_from(Direction),
)
REQUESTS = st.fixed_dictionaries(
    {
        "model": st.just("m"),
        "messages": st.lists(
            st.fixed_dictionaries({"role": ROLES, "content": TEXTS}), min_size=1, max_size=3
        ),
    },
    optional={
        "stream": st.booleans(),
        "max_tokens": st.integers(1, 2**31),
        "modalities": st.lists(st.sampled_from(["text", "audio"])),
        "tools": st.lists(
            st.builds(lambda name: {"type": "function", "function": {"name": name}}, TEXTS)
            | st.fixed_dictionaries({"type": TEXTS}),
            max_size=3,
        ),
    },
)
HEADERS = st.dictionaries(
    st.sampled_from(["x-govgate-user", "x-govgate-tags", "x-govgate-purpose",
                     "x-govgate-session-id", "x-govgate-anything"]),
    TEXTS,
)  # fmt: skip
PRINCIPALS = st.builds(
    Principal, org=TEXTS, team=TEXTS, app=st.text("ab", min_size=1), key_id=TEXTS,
    tags=st.lists(TEXTS, max_size=2).map(tuple), roles=st.lists(TEXTS, max_size=2).map(tuple),
)  # fmt: skip


@given(REQUESTS, st.lists(FINDINGS, max_size=3), HEADERS, PRINCIPALS, st.lists(TEXTS, max_size=2))
async def test_every_question_has_the_shape_that_the_policy_reads(
    request: dict[str, Any], findings: list[Finding], headers: dict[str, str],
    principal: Principal, unavailable: list[str],
) -> None:  # fmt: skip
    exchange = coming(CHAT.check(request), principal, headers)
    exchange.found(findings)
    exchange.unavailable.extend(unavailable)
    await Desk().decide(exchange)
    QUESTION.validate(orjson.loads(orjson.dumps(exchange.question)))


async def test_a_question_holds_no_text_of_the_request() -> None:
    canary = "canary-text"
    request = chat_request(canary, user=canary, metadata={"x": canary}, stop=canary)
    exchange = coming(request)
    exchange.found([Finding("pii", "EMAIL", "/messages/0/content", 0, 6, 1.0)])
    await Desk().decide(exchange)
    assert canary not in json.dumps(exchange.question)


class TestModels:
    async def test_one_that_the_key_may_not_use_is_refused_without_a_question(self) -> None:
        desk = Desk()
        error = await desk.refused(coming(principal=replace(SOMEBODY, models=("gpt-*",))))
        assert (error.code, error.param) == (Code.MODEL_NOT_ALLOWED, "model")
        assert desk.policy.asked == []

    async def test_one_that_does_not_exist_is_refused_without_a_question(self) -> None:
        desk = Desk()
        error = await desk.refused(coming(chat_request() | {"model": "unheard-of"}))
        assert (error.code, error.param) == (Code.MODEL_NOT_FOUND, "model")
        assert desk.policy.asked == []

    async def test_whether_a_forbidden_model_exists_is_not_told(self) -> None:
        principal = replace(SOMEBODY, models=("gpt-*",))
        for name in ("m", "unheard-of"):
            error = await Desk().refused(coming(chat_request() | {"model": name}, principal))
            assert error.code is Code.MODEL_NOT_ALLOWED


class TestNo:
    async def test_a_denial_speaks_in_the_words_of_its_first_reason(self) -> None:
        desk = Desk(answer("deny", {"rule": "one", "message": {"fr": "Non.", "en": "No bombs."}},
                           {"rule": "two"}, {"rule": "one"}))  # fmt: skip
        exchange = coming()
        error = await desk.refused(exchange)
        assert isinstance(error, Denied)
        assert (error.code, error.param) == (Code.CONTENT_FILTER, "messages")
        assert error.rules == ("one", "two")
        assert error.message == f"Blocked by policy: No bombs. Reference {exchange.decision.id}."
        assert exchange.headers["x-govgate-decision"] == exchange.decision.id

    @pytest.mark.parametrize(
        ("reasons", "said"),
        [
            ([], "The policy does not allow this request."),
            ([{"message": {}}], "The policy does not allow this request."),
            ([{"message": {"fr": "Non."}}], "Non."),
        ],
    )
    async def test_a_denial_always_has_words(self, reasons: list[Any], said: str) -> None:
        error = await Desk(answer("deny", *reasons)).refused(coming())
        assert error.message.startswith(f"Blocked by policy: {said}")

    async def test_what_could_not_be_inspected_may_be_tried_again(self) -> None:
        desk = Desk(answer("deny", {"code": "inspection_unavailable"}, {"rule": "other"}))
        error = await desk.refused(coming())
        assert isinstance(error, Unavailable)
        assert error.code is Code.INSPECTION_UNAVAILABLE
        assert error.retry_after == 1.0
        assert error.rules == ("r", "other")

    async def test_a_denial_for_more_than_that_is_a_denial(self) -> None:
        desk = Desk(answer("deny", {"rule": "bomb"}, {"code": "inspection_unavailable"}))
        assert (await desk.refused(coming())).code is Code.CONTENT_FILTER

    async def test_a_review_is_refused_while_nobody_reviews(self) -> None:
        error = await Desk(answer("review", {})).refused(coming())
        assert isinstance(error, Unavailable)
        assert (error.code, error.rules) == (Code.REVIEWS_UNAVAILABLE, ("r",))

    @pytest.mark.parametrize(
        "nonsense",
        [None, {}, [], "allow", {"effect": "allow"}, {**ALLOW, "effect": "maybe"},
         {**ALLOW, "more": 1}],
        ids=repr,
    )  # fmt: skip
    async def test_an_answer_that_is_none_is_never_an_allow(self, nonsense: Any) -> None:
        exchange = coming()
        error = await Desk(FixedPolicy(nonsense)).refused(exchange)
        assert error.code is Code.POLICY_ERROR
        assert not exchange.knows("decision")
        assert exchange.knows("question")  # what was asked is on record all the same

    async def test_a_policy_that_cannot_be_asked_is_never_an_allow(self) -> None:
        desk = Desk()
        desk.policy.failing = Unavailable(Code.POLICY_UNAVAILABLE, "x")
        assert (await desk.refused(coming())).code is Code.POLICY_UNAVAILABLE


class TestDutiesOfARefusal:
    """A decision that refuses may still say how its caller is to be told."""

    async def refused(
        self, effect: str, *duties: Mapping[str, Any]
    ) -> tuple[GatewayError, list[Any]]:
        done: list[Any] = []

        async def note(exchange: Exchange, params: Mapping[str, Any]) -> None:
            if "bad" in params:
                raise msgspec.ValidationError("no such parameter")
            done.append(params)

        obligations = [{"rule": "r", **duty} for duty in duties]
        policy = FixedPolicy({**ALLOW, "effect": effect, "obligations": obligations})
        catalogue = StaticCatalogue([MODEL], [], lambda model: None)
        stage = Decide(policy, catalogue, FakeJournal(), refusing={"note": note})
        with pytest.raises(GatewayError) as refused:
            await stage(coming(), answering([]))
        return refused.value, done

    @pytest.mark.parametrize(
        ("effect", "code"),
        [("deny", Code.CONTENT_FILTER), ("review", Code.REVIEWS_UNAVAILABLE)],
    )
    async def test_it_is_carried_out_and_no_other(self, effect: str, code: Code) -> None:
        note = {"id": "note", "params": {"a": 1}}
        error, done = await self.refused(effect, {"id": "mask", "params": {"bad": 1}}, note)
        assert (error.code, done) == (code, [{"a": 1}])

    async def test_one_that_is_not_well_formed_is_a_fault_of_the_policy(self) -> None:
        error, done = await self.refused("deny", {"id": "note", "params": {"bad": 1}})
        assert isinstance(error, Unavailable)
        assert (error.code, done) == (Code.POLICY_ERROR, [])

    async def test_where_the_request_is_allowed_it_is_not_its_place(self) -> None:
        with pytest.raises(pytest.fail.Exception):
            await self.refused("allow", {"id": "note", "params": {"bad": 1}})
