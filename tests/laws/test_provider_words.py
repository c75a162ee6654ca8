"""What a provider says when it refuses or breaks is governed like an answer, in every dialect."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Event, Events
from gateway.core.errors import Code, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.findings import Direction
from gateway.core.pipeline import Proceed
from gateway.core.policy import Decision
from gateway.obligations.mask import Mask
from gateway.obligations.screen import Screen
from gateway.stages.discharge import WITHHELD, Discharge
from gateway.wiring import DIALECTS
from tests.exchanges import allowing, spoken
from tests.laws.test_chunking import ADDRESS, MASK, REDACT, STOP, Cut, Words
from tests.unit.obligations.test_pseudonymise import asking

BANNED = "BO  MB"
BANNED_IN = re.compile(r"BO\s*MB|7")
PLACEHOLDER = "[[MAIL_1]]"
SAID = f"{PLACEHOLDER}. Ask of {BANNED} or 777 and"
MEMBERS = ("message", "type", "param", "code")
OTHERS = {"message": "no", "type": "server_error", "param": None, "code": 5}
RULES = (MASK, STOP, REDACT)
PATHS = pytest.mark.parametrize("path", DIALECTS)


def at_once(error: UpstreamError) -> Proceed:
    """An upstream that refuses the call, or whose stream begins with an error."""

    async def upstream(exchange: Exchange) -> Events:
        raise error

    return upstream


def midway(error: UpstreamError, *before: Event) -> Proceed:
    """An upstream that breaks when it has said so much."""

    async def said() -> Events:
        for event in before:
            yield event
        raise error

    async def upstream(exchange: Exchange) -> Events:
        return said()

    return upstream


WAYS = pytest.mark.parametrize("way", [at_once, midway])


def failure(**members: Any) -> UpstreamError:
    return UpstreamError(Code.UPSTREAM_ERROR, "It refused.", status=400, body=members)


class Away:
    """An inspector that cannot be asked, for as long as it is so."""

    name = "away"

    def __init__(self) -> None:
        self.away = False

    async def inspect(self, passages: Any) -> Any:
        if self.away:
            raise ConnectionError
        return await Words().inspect(passages)


def told(
    path: str, upstream: Proceed, *duties: Any, away: bool = False
) -> tuple[dict[str, Any], Exchange]:
    """The error that a caller reads, and the exchange."""

    async def main() -> tuple[dict[str, Any], Exchange]:
        inspector = Away()
        named = {"metadata": {"user_id": ADDRESS}} if "messages" in path else {"user": ADDRESS}
        exchange = asking(path, named)
        exchange.found(await inspector.inspect([slot.passage() for slot in exchange.slots]))
        inspector.away = away
        exchange.decision = Decision("dec_1", "sha256:1", allowing(*duties))
        stage = Discharge({"mask": Mask(Cut()), "screen": Screen({"word": inspector})})
        with pytest.raises(UpstreamError) as refusal:
            async for _ in await stage(exchange, upstream):
                pass
        assert refusal.value.status == 400
        return exchange.dialect.error(refusal.value, {})["error"], exchange

    return asyncio.run(main())


@PATHS
@WAYS
@pytest.mark.parametrize("member", MEMBERS)
def test_what_a_rule_bans_is_struck_out(
    path: str, way: Callable[..., Proceed], member: str
) -> None:
    error, exchange = told(path, way(failure(**{**OTHERS, member: SAID})), *RULES)
    assert BANNED not in json.dumps(error)
    assert "777" not in json.dumps(error)
    shown = f"{ADDRESS}. Ask of [BOMB] or [SEVEN] and"
    if member == "type" and path.startswith("/v1/messages"):
        assert error["type"] == "invalid_request_error", "a word of the API, or none"
    else:
        assert error[member] == shown
    found = [hit.label for hit in exchange.findings if hit.direction is Direction.OUTPUT]
    assert sorted(found) == ["BOMB", "SEVEN"], "and is on record"


@PATHS
@WAYS
def test_numbers_are_words_too(path: str, way: Callable[..., Proceed]) -> None:
    error, _ = told(path, way(failure(message="no", code=17777771)), *RULES)
    assert error["code"] == "1[SEVEN]1"


@PATHS
@WAYS
def test_what_cannot_be_judged_is_not_told(path: str, way: Callable[..., Proceed]) -> None:
    for rule in (STOP, REDACT):
        error, exchange = told(path, way(failure(**OTHERS, more=SAID)), MASK, rule, away=True)
        assert error["message"] == WITHHELD
        assert error["code"] == "upstream_error"
        assert exchange.unavailable == ["away"]
        error, _ = told(path, way(failure(**{**OTHERS, "message": SAID})), rule, away=True)
        assert BANNED not in json.dumps(error)


@PATHS
@WAYS
def test_our_own_words_may_hold_a_providers(path: str, way: Callable[..., Proceed]) -> None:
    error = UpstreamError(Code.UPSTREAM_ERROR, f"It ended for the reason {SAID}", status=400)
    read, _ = told(path, way(error), *RULES)
    assert read["message"] == f"It ended for the reason {ADDRESS}. Ask of [BOMB] or [SEVEN] and"


@PATHS
@WAYS
def test_what_no_rule_speaks_of_passes_as_it_came(path: str, way: Callable[..., Proceed]) -> None:
    error = failure(message=SAID, type="server_error", param=None, code=5, more={"a": [1]})
    body = error.body
    read, _ = told(path, way(error))
    assert read["message"] == SAID
    assert error.body is body
    judged = failure(message="no", type="server_error", param=None, code=5, more={"a": [1]})
    told(path, way(judged), *RULES)
    assert judged.body == {**OTHERS, "more": {"a": [1]}}


@given(st.text("BOM 7.[]_MAIL1@a\n", max_size=60))
def test_no_words_slip_through(said: str) -> None:
    error, _ = told("/v1/chat/completions", at_once(failure(message=said)), STOP, REDACT)
    pieces = re.split(r"\[(?:BOMB|SEVEN)\]", error["message"])
    assert not [piece for piece in pieces if BANNED_IN.search(piece)]
    assert BANNED_IN.search(said) or error["message"] == said


def test_what_was_said_before_it_is_told_as_ever() -> None:
    """A stream that breaks in the middle has shown what was cleared, and ends in the error."""
    error = failure(message=SAID)
    before = spoken(["All is well. ", "Half a sen"])[:-1]
    read, exchange = told("/v1/chat/completions", midway(error, *before), *RULES)
    assert read["message"] == f"{ADDRESS}. Ask of [BOMB] or [SEVEN] and"
    assert exchange.outcome is None, "it is for who runs it to say how it ended"
