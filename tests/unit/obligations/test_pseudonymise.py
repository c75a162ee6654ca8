"""`pseudonymise`: nobody's name reaches a provider, and one person stays one person."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.dialect import Dialect
from gateway.core.errors import Malformed
from gateway.core.exchange import Exchange
from gateway.core.policy import Decision
from gateway.obligations.mask import Mask
from gateway.obligations.pseudonymise import Pseudonymise
from gateway.stages.discharge import Discharge, Discharger
from gateway.wiring import DIALECTS
from tests.exchanges import MODEL, SOMEBODY, allowing, answering, heard
from tests.fakes.inspector import FakeInspector
from tests.fakes.masker import FakeMasker
from tests.laws.test_small_dialects import FILE, PICTURE

ANN = "ann@example.org"
PSEUDONYM = re.compile(r"usr_[0-9a-f]{60}")
LONGEST = 64
"""Characters that OpenAI's API reference gives `safety_identifier`."""
SAID = [{"role": "user", "content": "hello"}]
ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": SAID},
    "/v1/completions": {"prompt": "x"},
    "/v1/responses": {"input": "x"},
    "/v1/messages": {"messages": SAID, "max_tokens": 9},
    "/v1/messages/count_tokens": {"messages": SAID},
    "/v1/embeddings": {"input": "x"},
    "/v1/moderations": {"input": "x"},
    "/v1/images/generations": {"prompt": "x"},
    "/v1/images/edits": {"prompt": "x", "image": PICTURE},
    "/v1/audio/transcriptions": {"file": FILE},
    "/v1/audio/translations": {"file": FILE},
    "/v1/audio/speech": {"input": "x"},
}
CASES = [
    (path, member)
    for path in DIALECTS
    for member in ("user", "safety_identifier", "metadata.user_id")
    if member != "metadata.user_id" or path.startswith("/v1/messages")
]
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
FIND = FakeInspector({ANN: "EMAIL_ADDRESS"})
DUTIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("mask", {"labels": ["EMAIL_ADDRESS"]}),
    ("pseudonymise", {}),
)


def naming(member: str, name: Any, **more: Any) -> dict[str, Any]:
    outer, _, inner = member.partition(".")
    return {outer: {inner: name, **more} if inner else name}


def asking(path: str, more: dict[str, Any], org: str = "acme") -> Exchange:
    """An exchange that the policy has allowed, as its request came over the wire."""
    dialect: Dialect = DIALECTS[path]
    kind, body = dialect.encode({"model": "m", **ASKED[path], **more})

    async def read() -> bytes:
        raise AssertionError("the request is here already")

    exchange = Exchange(dialect, read)
    exchange.received = body
    exchange.request = dialect.check(dialect.parse(body, kind))
    exchange.slots = dialect.slots(exchange.request)
    exchange.principal, exchange.model = replace(SOMEBODY, org=org), MODEL
    return exchange


async def sent(exchange: Exchange, key: bytes = b"key") -> dict[str, Any]:
    await Pseudonymise(key)(exchange, {})
    return exchange.request


def pseudonym(name: str, org: str = "acme", key: bytes = b"key") -> str:
    exchange = asking("/v1/embeddings", {"user": name}, org)
    told: str = asyncio.run(sent(exchange, key))["user"]
    return told


@pytest.mark.parametrize(("path", "member"), CASES)
async def test_the_name_reaches_no_provider_in_any_dialect(path: str, member: str) -> None:
    """Whatever else acts on it: it would be masked, and is a pseudonym before that."""
    exchange = asking(path, naming(member, ANN))
    exchange.found(await FIND.inspect([slot.passage() for slot in exchange.slots]))
    assert [finding.label for finding in exchange.findings] == ["EMAIL_ADDRESS"]
    exchange.decision = Decision("dec_1", "sha256:1", allowing(*DUTIES))
    dischargers: dict[str, Discharger] = {
        "pseudonymise": Pseudonymise(b"key"),
        "mask": Mask(FakeMasker()),
    }
    await heard(await Discharge(dischargers)(exchange, answering([])))
    body = exchange.dialect.encode(exchange.request)[1]
    assert ANN.encode() not in body
    assert b"EMAIL_ADDRESS" not in body
    assert len(PSEUDONYM.findall(body.decode("latin-1"))) == 1
    assert ANN.encode() in exchange.received, "the record says who it was"
    assert exchange.findings, "and what was found"


async def test_a_name_that_is_elsewhere_too_is_masked_there() -> None:
    told = [{"role": "user", "content": f"I am {ANN}."}]
    exchange = asking("/v1/chat/completions", {"messages": told, "user": ANN})
    exchange.found(await FIND.inspect([slot.passage() for slot in exchange.slots]))
    await sent(exchange)
    restore = await Mask(FakeMasker())(exchange, {"labels": ["EMAIL_ADDRESS"]})
    assert exchange.request["messages"][0]["content"] == "I am [[EMAIL_ADDRESS_1]]."
    assert PSEUDONYM.fullmatch(exchange.request["user"])
    assert restore is not None


async def test_what_stands_beside_it_stays() -> None:
    exchange = asking("/v1/messages", naming("metadata.user_id", ANN, ticket="4711"))
    before = {**exchange.request, "metadata": None}
    told = await sent(exchange)
    assert told["metadata"]["ticket"] == "4711"
    assert {**told, "metadata": None} == before


@pytest.mark.parametrize("path", DIALECTS)
async def test_who_names_nobody_sends_what_it_sent(path: str) -> None:
    for more in ({}, {"user": ""}):
        exchange = asking(path, more)
        assert exchange.dialect.encode(await sent(exchange))[1] == exchange.received


async def test_a_null_is_nobody() -> None:
    assert (await sent(asking("/v1/responses", {"user": None})))["user"] is None
    nobody = asking("/v1/messages", {"metadata": None})
    assert (await sent(nobody))["metadata"] is None


@pytest.mark.parametrize("member", ["user", "safety_identifier", "metadata.user_id"])
@pytest.mark.parametrize("name", [4711, True, ["ann"], {"name": "ann"}])
async def test_a_name_that_is_no_text_is_refused(member: str, name: Any) -> None:
    exchange = asking("/v1/messages", naming(member, name))
    with pytest.raises(Malformed) as refusal:
        await sent(exchange)
    assert refusal.value.param == member


@given(NAMES, NAMES)
def test_one_person_has_one_pseudonym(one: str, other: str) -> None:
    told = pseudonym(one)
    assert PSEUDONYM.fullmatch(told)
    assert len(told) <= LONGEST
    assert told == pseudonym(one), "so that a provider knows who it is again"
    assert (told == pseudonym(other)) is (one == other)


def test_other_houses_and_keys_have_others() -> None:
    assert len({pseudonym("ann"), pseudonym("ann", "other"), pseudonym("ann", key=b"new")}) == 3
    assert pseudonym("b", "acme") != pseudonym("eb", "acm")


async def test_however_the_person_is_named() -> None:
    both = await sent(asking("/v1/chat/completions", {"user": "u", "safety_identifier": "u"}))
    claude = await sent(asking("/v1/messages", {"metadata": {"user_id": "u"}}))
    assert both["user"] == both["safety_identifier"] == claude["metadata"]["user_id"]


@pytest.mark.parametrize("params", [{"how": "hash"}, {"length": 8}])
async def test_params_that_say_something_are_no_duty(params: dict[str, Any]) -> None:
    exchange = asking("/v1/embeddings", {"user": ANN})
    with pytest.raises(msgspec.ValidationError):
        await Pseudonymise(b"key")(exchange, params)
    assert exchange.request["user"] == ANN
