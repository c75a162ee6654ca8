"""What an account writes: facts and payloads once each, findings without text, one ending."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.core.account import MOST_FINDINGS, Account
from gateway.core.calls import JudgedCall
from gateway.core.errors import OverBudget
from gateway.core.exchange import Exchange, Outcome
from gateway.core.findings import Direction, Finding
from gateway.core.money import ZERO, Money, Price, Usage
from gateway.core.policy import Verdict
from gateway.core.ports import Model
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from tests.exchanges import MODEL, SOMEBODY, chat_request, decided, exchange_of
from tests.fakes.journal import FakeJournal

REASON = {"code": "c", "message": {"en": "x"}, "severity": "low", "facts": {}}
VERDICT = Verdict.parse(
    {
        "effect": "allow",
        "reasons": [{**REASON, "rule": "b"}, {**REASON, "rule": "a"}, {**REASON, "rule": "b"}],
        "obligations": [{"id": "mask", "params": {}, "rule": "a"}],
        "observed": [],
        "overridden": [],
    }
)


def opened(journal: FakeJournal, exchange: Exchange, principal: Principal = SOMEBODY) -> Account:
    record = journal.begin(exchange.id, principal, Entry(Kind.OPENED, {}))
    return Account(exchange, record)


def house(**request: Any) -> tuple[FakeJournal, Exchange, Account]:
    journal, exchange = FakeJournal(), decided(chat_request(**request), VERDICT)
    exchange.question = {"schema_version": 1}
    return journal, exchange, opened(journal, exchange)


def found(direction: Direction, label: str = "A") -> Finding:
    return Finding("pii", label, "/messages/0/content", -2, 9, 0.8125, direction)


async def test_an_attempt_says_where_it_went_and_what_it_may_cost() -> None:
    journal, exchange, account = house()
    del exchange.known["model"]
    exchange.model = Model("m", "openai", "m-2026", region="eu", price=Price(1, 2, "v7"))
    await account.attempt(b"sent", Money(70))
    [attempt] = [entry for entry in journal.entries() if entry.kind is Kind.ATTEMPT]
    facts = {"attempt": 1, "model": "m", "upstream": "openai", "upstream_model": "m-2026",
             "region": "eu", "hold_micro_usd": 70, "price_version": "v7"}  # fmt: skip
    assert facts.items() <= attempt.facts.items()
    assert attempt.parts["request_sent"] == b"sent"
    assert (account.attempts, account.held) == (1, 70)


REQUEST_ID = "x-govgate-upstream-request-id"


async def test_each_attempts_id_at_its_provider_is_on_record() -> None:
    journal, exchange, account = house()
    await account.attempt(b"1", ZERO)
    exchange.headers[REQUEST_ID] = "req_1"
    await account.attempt(b"2", ZERO)
    assert REQUEST_ID not in exchange.headers
    await account.attempt(b"3", ZERO)  # the second had none
    exchange.headers[REQUEST_ID] = "req_3"
    await account.close(Outcome.COMPLETED, None, None)
    _, first, second, third, end = journal.entries()
    assert "after_request_id" not in first.facts
    assert second.facts["after_request_id"] == "req_1"
    assert "after_request_id" not in third.facts
    assert end.facts["upstream_request_id"] == "req_3"
    assert exchange.headers[REQUEST_ID] == "req_3"


@pytest.mark.parametrize("id", ["", "a b", "x" * 129, "ann@example.org", "a\nb", "é"])
async def test_what_is_no_id_does_not_come_into_a_header(id: str) -> None:
    journal, exchange, account = house()
    await account.attempt(b"1", ZERO)
    exchange.headers[REQUEST_ID] = id
    await account.close(Outcome.COMPLETED, None, None)
    assert "upstream_request_id" not in journal.entries()[-1].facts


async def test_without_an_attempt_there_is_no_id() -> None:
    journal, exchange, account = house()
    exchange.headers[REQUEST_ID] = "req_of_another"
    await account.close(Outcome.DENIED, None, None)
    assert "upstream_request_id" not in journal.entries()[-1].facts


async def test_the_decision_is_written_with_the_first_entry_and_not_again() -> None:
    journal, exchange, account = house()
    exchange.found([found(Direction.INPUT), found(Direction.OUTPUT)])
    exchange.unavailable.append("presidio")
    await account.attempt(b"1", ZERO)
    await account.attempt(b"2", ZERO)
    await account.close(Outcome.COMPLETED, None, None)
    _, first, second, end = journal.entries()
    assert first.facts["decision"] == {
        "id": "dec_1", "revision": "sha256:1", "effect": "allow", "rules": ["a", "b"],
        "obligations": ["mask"],
    }  # fmt: skip
    assert first.facts["findings"] == [
        {"kind": "pii", "label": "A", "where": "/messages/0/content", "start": -2, "end": 9,
         "score_milli": 812}
    ]  # fmt: skip
    assert first.facts["unavailable"] == ["presidio"]
    assert orjson.loads(first.parts["question"]) == {"schema_version": 1}
    assert orjson.loads(first.parts["decision"])["effect"] == "allow"
    for entry in (second, end):
        assert not {"decision", "question"} & {*entry.facts, *entry.parts}
    assert [each["label"] for each in end.facts["answer_findings"]] == ["A"]


async def test_a_refusal_writes_the_decision_with_its_ending() -> None:
    journal, _, account = house()
    await account.close(Outcome.DENIED, "content_filter", None)
    [_, end] = journal.entries()
    assert end.facts["decision"]["id"] == "dec_1"
    assert "question" in end.parts


async def test_what_was_never_decided_is_not_in_the_record() -> None:
    journal, exchange = FakeJournal(), exchange_of(chat_request())
    await opened(journal, exchange).close(Outcome.FAILED, "internal_error", None)
    [_, end] = journal.entries()
    assert "decision" not in end.facts
    assert end.parts == {}


async def test_a_header_has_room_for_so_many_findings_and_counts_all() -> None:
    journal, exchange, account = house()
    exchange.found([found(Direction.INPUT)] * (MOST_FINDINGS + 5))
    await account.attempt(b"1", ZERO)
    facts = journal.entries()[-1].facts
    assert len(facts["findings"]) == MOST_FINDINGS
    assert facts["findings_count"] == MOST_FINDINGS + 5


async def test_an_attempt_that_does_not_fit_did_not_happen() -> None:
    journal, exchange = FakeJournal.with_limits({"b": 10}), decided(chat_request(), VERDICT)
    account = opened(journal, exchange, Principal("o", "t", "a", "k", budget_id="b"))
    with pytest.raises(OverBudget):
        await account.attempt(b"1", Money(11))
    assert (account.attempts, account.held, journal.entries()) == (0, 0, [])
    await account.attempt(b"1", Money(10))
    assert journal.entries()[-1].facts["attempt"] == 1
    assert "decision" in journal.entries()[-1].facts  # which the first try did not write


async def test_segments_are_numbered_and_counted() -> None:
    journal, _, account = house(stream=True)
    await account.attempt(b"1", ZERO)
    await account.release(b"a")
    await account.release(b"b")
    await account.close(Outcome.COMPLETED, None, b"c")
    segments = [entry for entry in journal.entries() if entry.kind is Kind.SEGMENT]
    assert [entry.facts for entry in segments] == [{"segment": 1}, {"segment": 2}]
    assert [entry.parts["answer_released"] for entry in segments] == [b"a", b"b"]
    end = journal.entries()[-1]
    assert (end.facts["segments"], end.parts["answer_released"]) == (2, b"c")


async def test_it_is_closed_once() -> None:
    journal, _, account = house()
    await account.close(Outcome.COMPLETED, None, b"x")
    receipt = account.closed
    await account.close(Outcome.FAILED, "internal_error", None)
    assert account.closed is receipt
    assert journal.kinds() == [Kind.OPENED, Kind.CLOSED]
    assert journal.entries()[-1].facts["outcome"] == "completed"


async def test_an_ending_tells_what_was_used_and_how_long_it_took() -> None:
    journal, exchange, account = house()
    exchange.usage = Usage(3, 5, exact=True)
    exchange.labels.append("internal")
    exchange.headers["x-govgate-cache"] = "miss"
    exchange.timings["policy"] = 1_234_567
    await account.close(Outcome.COMPLETED, None, None)
    facts = journal.entries()[-1].facts
    assert facts["usage"] == {"input_tokens": 3, "output_tokens": 5, "exact": True}
    assert (facts["labels"], facts["cache"], facts["code"]) == (["internal"], "miss", None)
    assert facts["timings_us"] == {"policy": 1_234}
    assert facts["elapsed_us"] >= 0
    assert (facts["cost_micro_usd"], facts["cost_exact"]) == (0, True)  # nobody was called


async def test_what_no_rule_changed_is_stored_once() -> None:
    journal, exchange, account = house()
    await account.attempt(exchange.received, ZERO)
    exchange.heard += [b"a", b"b"]
    await account.close(Outcome.COMPLETED, None, b"a\nb")
    _, attempt, end = journal.entries()
    assert attempt.facts["request_sent"] == "same as request_received"
    assert end.facts["answer_released"] == "same as answer_received"
    assert (attempt.parts.keys() | end.parts.keys()) == {"question", "decision", "answer_received"}


async def test_what_a_rule_changed_is_stored_both_ways() -> None:
    journal, exchange, account = house()
    await account.attempt(b"masked", ZERO)
    exchange.heard.append(b"as the model said it")
    await account.close(Outcome.COMPLETED, None, b"as it was shown")
    _, attempt, end = journal.entries()
    assert attempt.parts["request_sent"] == b"masked"
    assert end.parts["answer_received"] == b"as the model said it"
    assert end.parts["answer_released"] == b"as it was shown"
    assert not {"request_sent", "answer_released"} & {*attempt.facts, *end.facts}


async def test_what_providers_said_when_they_failed_is_a_part_of_its_own() -> None:
    journal, exchange, account = house()
    exchange.failures += [b'{"status":503}', b'{"status":400}']
    exchange.heard.append(b"then it answered")
    await account.close(Outcome.COMPLETED, None, b"then it answered")
    end = journal.entries()[-1]
    assert end.parts["errors_received"] == b'{"status":503}\n{"status":400}'
    assert end.facts["answer_released"] == "same as answer_received"


async def test_what_was_decided_of_tool_calls_is_written_with_the_ending() -> None:
    journal, exchange, account = house()
    question = {"context": {"tool_call": {"name": "look", "arguments": {}}}}
    exchange.calls.append(JudgedCall(question, exchange.decision))
    await account.attempt(b"sent", ZERO)
    await account.close(Outcome.COMPLETED, None, None)
    _, attempt, end = journal.entries()
    assert "tool_calls" not in attempt.facts
    assert end.facts["tool_calls_count"] == 1
    assert end.facts["tool_calls"][0]["rules"] == ["a", "b"]
    [told] = orjson.loads(end.parts["tool_calls"])
    assert told["question"] == question


async def test_one_who_does_not_say_what_it_used_costs_the_most() -> None:
    _, exchange, account = house()
    assert account.spent() == 0
    await account.attempt(b"1", Money(40))
    assert account.spent() == 40
    exchange.usage = Usage(1, 1, exact=True)
    assert exchange.model is MODEL  # which has no price
    assert account.spent() == 40
