"""The contract of `Policy`, kept by the fake, the engine in process and a real OPA server."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.opa import OpaServer, OpaServerPolicy
from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import (
    Pack,
    check_tables,
    engine,
    load_pack,
    question_of,
    read_folder,
    well_formed,
)
from gateway.core.errors import Code, Unavailable
from gateway.core.policy import Effect
from gateway.core.ports import Policy
from tests.contracts.policy_cases import packs, questions, strange_questions, write_pack
from tests.contracts.policy_server import ROOT, PolicyServer, opa_binary
from tests.fakes.policy import ALLOW, FakePolicy, FixedPolicy
from tests.unit.adapters.wasm_modules import answering

BASELINE = ROOT / "policies" / "packs" / "baseline"
MODULE = engine().read_bytes()


class Host(Protocol):
    """How one kind of engine is given a pack."""

    def policy(self, pack: Pack) -> Any:
        """A context manager: a policy that decides by `pack`."""


@dataclass
class InPython:
    @asynccontextmanager
    async def policy(self, pack: Pack) -> AsyncIterator[Policy]:
        yield FakePolicy(pack.data, pack.revision)


@dataclass
class InProcess:
    @asynccontextmanager
    async def policy(self, pack: Pack) -> AsyncIterator[Policy]:
        yield WasmPolicy(MODULE, pack.data, pack.revision)


@asynccontextmanager
async def asking(server: PolicyServer, revision: str) -> AsyncIterator[OpaServerPolicy]:
    """A policy that asks `server`."""
    client = OpaServer(server.url, timeout=30)
    try:
        yield OpaServerPolicy(client, revision)
    finally:
        await client.stop()


@dataclass
class OnServer:
    server: PolicyServer

    @asynccontextmanager
    async def policy(self, pack: Pack) -> AsyncIterator[Policy]:
        await asyncio.to_thread(self.server.publish_pack, pack.data)
        async with asking(self.server, pack.revision) as policy:
            yield policy


@pytest.fixture(scope="module")
def server() -> Iterator[PolicyServer]:
    server = PolicyServer(opa_binary())
    yield server
    server.stop()


@pytest.fixture(params=["python", "wasm", "server"])
def host(request: pytest.FixtureRequest) -> Host:
    match request.param:
        case "python":
            return InPython()
        case "wasm":
            return InProcess()
        case _:
            return OnServer(request.getfixturevalue("server"))


@pytest.fixture(scope="module")
def baseline() -> Pack:
    return load_pack(read_folder(BASELINE))


async def test_the_shipped_pack_passes_its_own_tables(host: Host, baseline: Pack) -> None:
    async with host.policy(baseline) as policy:
        cases = await check_tables(baseline.tables, policy)
    assert len(cases) >= 10
    assert [case for case in cases if case.failures] == []


async def test_a_decision_has_an_id_of_its_own_and_the_revision(host: Host, baseline: Pack) -> None:
    async with host.policy(baseline) as policy:
        first, second = [await policy.decide(question_of({})) for _ in range(2)]
        assert policy.revision == baseline.revision
    assert first.verdict == second.verdict
    assert first.id.startswith("dec_")
    assert first.id != second.id
    assert first.revision == baseline.revision


async def test_many_may_ask_at_once(host: Host, baseline: Pack) -> None:
    bad = [{"kind": "phrase", "label": "weapons"}]
    async with host.policy(baseline) as policy:
        decisions = await asyncio.gather(
            *(policy.decide(question_of({"findings": bad if n % 3 else []})) for n in range(60))
        )
    assert [d.effect for d in decisions] == [
        Effect.DENY if n % 3 else Effect.ALLOW for n in range(60)
    ]


STRANGE: dict[str, dict[str, Any]] = {
    "nothing": {},
    "another version": {**question_of({}), "schema_version": 2},
    "no version": {k: v for k, v in question_of({}).items() if k != "schema_version"},
    "an unknown field": {**question_of({}), "also": 1},
    "a lost field": {k: v for k, v in question_of({}).items() if k != "context"},
    "an unknown stage": {
        **question_of({}),
        "action": {"name": "a", "properties": {"stage": "later", "stream": False}},
    },
    "a tool call at the wrong stage": {
        **question_of({"tool_call": "search"}),
        "action": question_of({})["action"],
    },
    "no clock": {**question_of({}), "context": {**question_of({})["context"], "time": "today"}},
    "a finding without a score": {
        **question_of({}),
        "context": {
            **question_of({})["context"],
            "findings": [{"kind": "pii", "label": "X", "where": "", "direction": "input"}],
        },
    },
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
async def test_a_question_of_another_shape_is_denied(
    host: Host, baseline: Pack, strange: Mapping[str, Any]
) -> None:
    async with host.policy(baseline) as policy:
        decision = await policy.decide(strange)
    assert decision.effect is Effect.DENY
    assert [reason.code for reason in decision.verdict.reasons] == ["question_malformed"]


@pytest.mark.parametrize("unspeakable", [object(), 2**70, "\ud800"])
async def test_what_is_no_question_is_never_allowed(
    host: Host, baseline: Pack, unspeakable: object
) -> None:
    async with host.policy(baseline) as policy:
        question = question_of({})
        question["context"]["request"]["purpose"] = unspeakable
        assert await _outcome(policy, question) in {Code.POLICY_ERROR, Effect.DENY}


async def _outcome(policy: Policy, question: Mapping[str, Any]) -> Effect | Code:
    try:
        return (await policy.decide(question)).effect
    except Unavailable as error:
        return error.code


REVISION = "sha256:fixed"
ANSWERS: dict[str, object] = {
    "undefined": None,
    "a word": "allow",
    "true": True,
    "a list": [ALLOW],
    "empty": {},
    "no effect": {k: v for k, v in ALLOW.items() if k != "effect"},
    "another effect": {**ALLOW, "effect": "permit"},
    "an unknown field": {**ALLOW, "allow": True},
    "obligations lost": {k: v for k, v in ALLOW.items() if k != "obligations"},
    "an obligation without params": {**ALLOW, "obligations": [{"id": "mask", "rule": "r"}]},
    "reasons that are words": {**ALLOW, "reasons": ["because"]},
    "null for a list": {**ALLOW, "observed": None},
}


@asynccontextmanager
async def fixed(kind: str, request: pytest.FixtureRequest, answer: object) -> AsyncIterator[Policy]:
    """A policy of each kind whose engine answers `answer`, whatever it is asked."""
    if kind == "python":
        yield FixedPolicy(answer, REVISION)
        return
    if kind == "wasm":
        yield WasmPolicy(answering(answer), {}, REVISION)
        return
    server: PolicyServer = request.getfixturevalue("server")
    await asyncio.to_thread(server.publish_fixed, answer, REVISION)
    try:
        async with asking(server, REVISION) as policy:
            yield policy
    finally:
        await asyncio.to_thread(server.publish_library)


@pytest.mark.parametrize("kind", ["python", "wasm", "server"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_of_another_shape_is_an_error(
    kind: str, answer: object, request: pytest.FixtureRequest
) -> None:
    async with fixed(kind, request, answer) as policy:
        with pytest.raises(Unavailable) as refusal:
            await policy.decide(question_of({}))
    assert refusal.value.code is Code.POLICY_ERROR


@pytest.mark.parametrize("kind", ["python", "wasm", "server"])
async def test_a_well_formed_answer_is_taken(kind: str, request: pytest.FixtureRequest) -> None:
    """The counterpart of the test above: the way of giving an answer works."""
    async with fixed(kind, request, ALLOW) as policy:
        decision = await policy.decide(question_of({}))
    assert decision.effect is Effect.ALLOW
    assert decision.revision == REVISION


async def test_a_server_with_another_pack_is_not_believed(
    server: PolicyServer, baseline: Pack
) -> None:
    server.publish_packs({baseline.revision: {**baseline.data, "revision": "sha256:stale"}})
    async with asking(server, baseline.revision) as policy:
        with pytest.raises(Unavailable, match="decided by sha256:stale") as refusal:
            await policy.decide(question_of({}))
    assert refusal.value.code is Code.POLICY_UNAVAILABLE
    assert refusal.value.retry_after == 1


@pytest.mark.parametrize("packs", [{}, {"sha256:other": {"revision": "sha256:other"}}])
async def test_a_server_without_the_revision_decides_nothing(
    server: PolicyServer, packs: dict[str, Any]
) -> None:
    server.publish_packs(packs)
    async with asking(server, "sha256:any") as policy:
        with pytest.raises(Unavailable, match="does not hold sha256:any") as refusal:
            await policy.decide(question_of({}))
    assert refusal.value.code is Code.POLICY_UNAVAILABLE


async def test_one_server_decides_by_several_revisions_at_once(
    server: PolicyServer, baseline: Pack
) -> None:
    none = {"revision": "sha256:none", "rules": {}, "exceptions": {}}
    server.publish_packs({baseline.revision: baseline.data, "sha256:none": none})
    client = OpaServer(server.url, timeout=30)
    first, second = (OpaServerPolicy(client, name) for name in (baseline.revision, "sha256:none"))
    decisions = await asyncio.gather(
        *((first, second)[n % 2].decide(question_of({})) for n in range(40))
    )
    await client.stop()
    assert [decision.effect for decision in decisions] == [Effect.ALLOW, Effect.DENY] * 20
    assert {decision.revision for decision in decisions} == {baseline.revision, "sha256:none"}


async def test_a_rule_that_fails_on_the_server_is_an_error(server: PolicyServer) -> None:
    """Two values for one name: an evaluation error, HTTP 500."""
    server.publish_rules("answer := 1 if input\n\nanswer := 2 if input")
    async with asking(server, "sha256:any") as policy:
        with pytest.raises(Unavailable) as refusal:
            await policy.decide(question_of({}))
    server.publish_library()
    assert refusal.value.code is Code.POLICY_ERROR


ASKED = st.one_of(questions(), strange_questions())


@settings(max_examples=settings().max_examples // 4)
@given(
    documents=packs(),
    asked=st.lists(st.one_of(questions(), strange_questions()), min_size=10, max_size=10),
)
async def test_the_engines_agree(
    server: PolicyServer, documents: dict[str, Any], asked: list[dict[str, Any]]
) -> None:
    """150 questions to 15 packs, or with the thorough profile 5,000 to 500: Python, Wasm and
    server give the same verdict, and malformed is what the schema calls malformed."""
    with tempfile.TemporaryDirectory() as folder:
        pack = load_pack(read_folder(write_pack(documents, Path(folder))))
    known = well_formed()
    async with (
        InPython().policy(pack) as python,
        InProcess().policy(pack) as wasm,
        OnServer(server).policy(pack) as remote,
    ):
        for question in asked:
            expected = (await python.decide(question)).verdict
            assert (await wasm.decide(question)).verdict == expected
            assert (await remote.decide(question)).verdict == expected
            codes = {reason.code for reason in expected.reasons}
            assert known(question) == ("question_malformed" not in codes)
