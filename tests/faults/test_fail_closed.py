"""Whatever goes wrong where it is decided: nothing is let through, by either engine.

Each way of failing meets a request and a completed tool call, in the stages that ask and obey.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from aiohttp import web

from gateway.adapters.bundle_key import BundleKey
from gateway.adapters.catalogue import StaticCatalogue
from gateway.adapters.decision_cache import CachedPolicy
from gateway.adapters.opa import Breaker, OpaServer, OpaServerPolicy
from gateway.adapters.opa.server import MOST_BYTES
from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import engine
from gateway.core.answer import Event, Events
from gateway.core.errors import Code, GatewayError, Unavailable
from gateway.core.exchange import Exchange
from gateway.core.pipeline import pipeline
from gateway.core.policy import Decision, Question
from gateway.core.ports import Model, Policy
from gateway.governed import dischargers
from gateway.stages.decide import Decide
from gateway.stages.discharge import Discharge
from gateway.stages.tool_calls import JudgeCalls
from tests.contracts.policy_server import PolicyServer, opa_binary
from tests.exchanges import SOMEBODY, answering, chat_request, exchange_of, whole
from tests.fakes.inspector import FakeInspector
from tests.fakes.journal import FakeJournal
from tests.fakes.policy import ALLOW, FixedPolicy
from tests.unit.adapters import wasm_modules as wasm
from tests.unit.adapters.opa.children import RULES, SPOILT, ours
from tests.unit.adapters.opa.servers import GOOD, REVISION, Handler, serving
from tests.unit.adapters.opa.servers import answering as http

Making: TypeAlias = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Policy]]
Change: TypeAlias = Callable[[dict[str, Any]], None]
ERROR, GONE, NO = Code.POLICY_ERROR, Code.POLICY_UNAVAILABLE, Code.CONTENT_FILTER
MODULE = engine().read_bytes()
INSPECTORS = {kind: FakeInspector({}, kind=kind) for kind in ("pii", "phrase")}
MODEL = Model("m", "openai", "m", hosting="external", region="eu")
CALL = {"id": "t1", "type": "function", "function": {"name": "search", "arguments": '{"q":1}'}}


@dataclass(frozen=True)
class Failure:
    """A way of failing: what decides, what becomes of the question, how it is refused."""

    policy: Making
    code: Code
    change: Change | None = None


class Asked:
    """A policy that is asked something else than the stage asks."""

    def __init__(self, inner: Policy, change: Change) -> None:
        self._inner, self._change = inner, change

    @property
    def revision(self) -> str:
        return self._inner.revision

    async def decide(self, question: Question) -> Decision:
        changed = copy.deepcopy(dict(question))
        self._change(changed)
        return await self._inner.decide(changed)


async def passed(policy: Policy, stage: str) -> GatewayError | None:
    """What refuses a plain request, or the tool call that answers it, where `policy` decides
    about that; None when it went through."""
    catalogue = StaticCatalogue([MODEL], [], lambda model: None)
    sent: list[Exchange] = []
    calls = stage == "tool_call"

    async def upstream(exchange: Exchange) -> Events:
        sent.append(exchange)
        return await answering([whole(None, tool_calls=[CALL]) if calls else whole("yes")])(
            exchange
        )

    asks = FixedPolicy(ALLOW) if calls else policy
    stages = [
        Decide(asks, catalogue, FakeJournal()),
        Discharge(dischargers(INSPECTORS)),
        *([JudgeCalls(policy)] if calls else ()),
    ]
    exchange = exchange_of(chat_request())
    exchange.received = b"{}"
    exchange.request = chat_request()
    exchange.slots = exchange.dialect.slots(exchange.request)
    exchange.principal = SOMEBODY
    released: list[Event] = []
    try:
        async for event in await pipeline(stages, upstream)(exchange):
            released.append(event)
    except GatewayError as error:
        assert len(sent) == calls
        assert released == []
        return error
    assert len(sent) == len(released) == 1
    assert len(exchange.calls) == calls
    return None


# In process.


def module(made: bytes, **limits: Any) -> Making:
    """A compiled policy."""

    @asynccontextmanager
    async def making(request: pytest.FixtureRequest) -> AsyncIterator[Policy]:
        yield WasmPolicy(made, {}, REVISION, **limits)

    return making


def says(result: object) -> Making:
    return module(wasm.answering(result))


def library(pack: Mapping[str, Any] = RULES.data, **limits: Any) -> Making:
    """The shipped library, in process."""

    @asynccontextmanager
    async def making(request: pytest.FixtureRequest) -> AsyncIterator[Policy]:
        yield WasmPolicy(MODULE, pack, RULES.revision, **limits)

    return making


DUTY = {"id": "label", "params": {"labels": ["x"]}, "rule": "r"}
DECISIONS: dict[str, tuple[object, Code]] = {
    "undefined": (None, ERROR),
    "a bare true": (True, ERROR),
    "a word": ("allow", ERROR),
    "a list": ([ALLOW], ERROR),
    "an empty decision": ({}, ERROR),
    "only an effect": ({"effect": "allow"}, ERROR),
    "an unknown effect": ({**ALLOW, "effect": "permit"}, ERROR),
    "an effect in capitals": ({**ALLOW, "effect": "ALLOW"}, ERROR),
    "an unknown field": ({**ALLOW, "sure": True}, ERROR),
    "a field lost": ({k: v for k, v in ALLOW.items() if k != "obligations"}, ERROR),
    "null for a list": ({**ALLOW, "obligations": None}, ERROR),
    "an unknown obligation": ({**ALLOW, "obligations": [{**DUTY, "id": "sing"}]}, ERROR),
    "an obligation with bad params": ({**ALLOW, "obligations": [{**DUTY, "params": {}}]}, ERROR),
    "an obligation with params unheard of": (
        {**ALLOW, "obligations": [{**DUTY, "params": {"labels": ["x"], "y": 1}}]}, ERROR,
    ),
    "an obligation without a rule": (
        {**ALLOW, "obligations": [{"id": "label", "params": {"labels": ["x"]}}]}, ERROR,
    ),
    "reasons that are words": ({**ALLOW, "reasons": ["because"]}, ERROR),
    "held for a review": ({**ALLOW, "effect": "review"}, Code.REVIEWS_UNAVAILABLE),
    "denied without a reason": ({**ALLOW, "effect": "deny"}, NO),
}  # fmt: skip
"""What an engine may answer, and how it is refused."""

GROW = """(block $full (loop $more
    (br_if $full (i32.eq (memory.grow (i32.const 64)) (i32.const -1))) (br $more)))"""
MANY = [
    {"kind": "pii", "label": "X", "where": "", "direction": "input", "score": 1.0}
    for _ in range(5_000)
]


def drop(*path: str) -> Change:
    def change(question: dict[str, Any]) -> None:
        holder: Any = question
        for name in path[:-1]:
            holder = holder[name]
        del holder[path[-1]]

    return change


def put(value: object, *path: str) -> Change:
    def change(question: dict[str, Any]) -> None:
        holder: Any = question
        for name in path[:-1]:
            holder = holder[name]
        holder[path[-1]] = value

    return change


CHANGES: dict[str, tuple[Change, Code]] = {
    "a question that is empty": (lambda question: question.clear(), NO),
    "a question of another version": (put(2, "schema_version"), NO),
    "a question with a field more": (put(1, "also"), NO),
    "a fact that is missing": (drop("context", "findings"), NO),
    "a fact that is missing inside": (drop("resource", "properties", "hosting"), NO),
    "a fact that is null": (put(None, "context", "unavailable"), NO),
    "a fact of another type": (put("pii", "context", "findings"), NO),
    "a stage that is unknown": (put("later", "action", "properties", "stage"), NO),
    "a clock that says nothing": (put("now", "context", "time"), NO),
    "a score that is no number": (
        put([{**MANY[0], "score": float("nan")}], "context", "findings"), NO,
    ),
    "what is no JSON": (put(object(), "context", "labels"), ERROR),
    "half a character": (put("\ud800", "resource", "id"), ERROR),
    "an inspector that is dead": (
        put(["pii"], "context", "unavailable"), Code.INSPECTION_UNAVAILABLE,
    ),
    "an inspector that nobody knows": (
        put(["clairvoyance"], "context", "unavailable"), Code.INSPECTION_UNAVAILABLE,
    ),
}  # fmt: skip
"""What may be wrong with a question; every engine is asked it."""

PACKS: dict[str, Mapping[str, Any]] = {
    "a pack without rules": {**RULES.data, "rules": {}},
    "no pack": {},
    "rules that are no object": {**RULES.data, "rules": ["all"]},
    "a kind of rule that is unknown": {
        **RULES.data,
        "rules": {**RULES.data["rules"], "clairvoyance": {"see": {"mode": "enforce"}}},
    },
    "a kind of rule that is misspelt": {
        **RULES.data,
        "rules": {
            {"phrase": "phrases"}.get(kind, kind): rules
            for kind, rules in RULES.data["rules"].items()
        },
    },
    "a rule that lost its mode": {
        "revision": RULES.revision,
        "exceptions": {},
        "rules": {
            "model_access": {
                id: {k: v for k, v in rule.items() if k != "mode"}
                for id, rule in RULES.data["rules"]["model_access"].items()
            }
        },
    },
}

PROCESS: dict[str, Failure] = {
    **{name: Failure(says(result), code) for name, (result, code) in DECISIONS.items()},
    **{name: Failure(library(), code, change) for name, (change, code) in CHANGES.items()},
    **{name: Failure(library(pack), NO) for name, pack in PACKS.items()},
    "a runtime error": Failure(module(wasm.module("(call $abort (i32.const 2048))")), ERROR),
    "a trap": Failure(module(wasm.module("(unreachable)")), ERROR),
    "a loop without end": Failure(
        module(wasm.module("(loop $again (br $again))"), steps=1_000_000), ERROR
    ),
    "memory without end": Failure(
        module(wasm.module(f"{GROW} (unreachable)"), memory=1 << 22), ERROR
    ),
    "an address outside its memory": Failure(
        module(wasm.module("(return (i32.const 2147483647))")), ERROR
    ),
    "a builtin of the host": Failure(
        module(wasm.module("(drop (call $builtin (i32.const 0) (i32.const 0)))")), ERROR
    ),
    "not JSON": Failure(module(wasm.module(answer="allow")), ERROR),
    "nothing": Failure(module(wasm.module(answer="")), ERROR),
    "two results": Failure(
        module(wasm.module(answer='[{"result": true}, {"result": true}]')), ERROR
    ),
    "a number that is none": Failure(module(wasm.module(answer='[{"result": NaN}]')), ERROR),
    "out of fuel": Failure(library(steps=200_000), ERROR),
    "out of memory": Failure(
        library(memory=2 << 20), ERROR, put("x" * (4 << 20), "resource", "id")
    ),
    "too many findings for its fuel": Failure(
        library(steps=2_000_000), ERROR, put(MANY, "context", "findings")
    ),
}


# Over a server.


def server(handler: Handler, seconds: float = 30, breaker: Breaker | None = None) -> Making:
    """A server that answers as it is told."""

    @asynccontextmanager
    async def making(request: pytest.FixtureRequest) -> AsyncIterator[Policy]:
        async with serving(handler, seconds, breaker) as policy:
            yield policy

    return making


def decided(result: object) -> Handler:
    return http({"result": {"revision": REVISION, "decision": result}})


@pytest.fixture(scope="module")
def opa() -> Any:
    found = PolicyServer(opa_binary())
    yield found
    found.stop()


def real(pack: Mapping[str, Any] = RULES.data) -> Making:
    """A real OPA server with the shipped library, and this pack for ours."""

    @asynccontextmanager
    async def making(request: pytest.FixtureRequest) -> AsyncIterator[Policy]:
        found: PolicyServer = request.getfixturevalue("opa")
        found.publish_packs({RULES.revision: pack})
        client = OpaServer(found.url, timeout=30)
        try:
            yield OpaServerPolicy(client, RULES.revision)
        finally:
            await client.stop()

    return making


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> BundleKey:
    return BundleKey.open(tmp_path_factory.mktemp("key") / "key")


def spoilt(name: str) -> Making:
    """A real OPA server whose new bundle is no good, asked for what is new in it."""

    @asynccontextmanager
    async def making(request: pytest.FixtureRequest) -> AsyncIterator[Policy]:
        async with ours(request.getfixturevalue("key")) as child:
            await child.policy().ready(30)
            child.spoil = SPOILT[name]
            new = "sha256:new"
            child.bundles.hold(new, {**RULES.data, "revision": new})
            await child.refuses_its_bundle()
            yield child.policy(new)

    return making


@asynccontextmanager
async def wrong_key(request: pytest.FixtureRequest) -> AsyncIterator[Policy]:
    other = BundleKey.open(request.getfixturevalue("tmp_path") / "other").public_pem
    async with ours(request.getfixturevalue("key"), public_pem=other, spoil=bytes) as child:
        await child.refuses_its_bundle()
        yield child.policy()


@asynccontextmanager
async def dead(request: pytest.FixtureRequest) -> AsyncIterator[Policy]:
    listener = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    client = OpaServer(f"http://127.0.0.1:{port}")
    yield OpaServerPolicy(client, REVISION)
    await client.stop()


@asynccontextmanager
async def left_alone(request: pytest.FixtureRequest) -> AsyncIterator[Policy]:
    """The breaker is open; the server would allow by now."""
    breaker = Breaker(1, pause=3_600)
    async with serving(http(GOOD), breaker=breaker) as policy:
        with pytest.raises(TimeoutError), breaker.call((TimeoutError,)):
            raise TimeoutError
        yield policy


async def silence(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("never")


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def promises_more(request: web.Request) -> web.StreamResponse:
    body = web.json_response(GOOD).body
    assert isinstance(body, bytes)
    told = {"content-type": "application/json", "content-length": str(len(body) + 1)}
    response = web.StreamResponse(headers=told)
    await response.prepare(request)
    await response.write(body)
    assert request.transport is not None
    request.transport.close()
    return response


SERVER: dict[str, Failure] = {
    **{name: Failure(server(decided(result)), code) for name, (result, code) in DECISIONS.items()},
    **{name: Failure(real(), code, change) for name, (change, code) in CHANGES.items()},
    **{
        name: Failure(real({**pack, "revision": RULES.revision}), NO)
        for name, pack in PACKS.items()
    },
    "status 400": Failure(server(http(GOOD, 400)), ERROR),
    "status 401": Failure(server(http(GOOD, 401)), ERROR),
    "status 404": Failure(server(http(GOOD, 404)), ERROR),
    "status 429": Failure(server(http(GOOD, 429)), GONE),
    "status 500": Failure(server(http(GOOD, 500)), ERROR),
    "status 502": Failure(server(http(GOOD, 502)), GONE),
    "status 503": Failure(server(http(GOOD, 503)), GONE),
    "status 504": Failure(server(http(GOOD, 504)), GONE),
    "a redirect": Failure(server(http(GOOD, 302)), ERROR),
    "accepted": Failure(server(http(GOOD, 202)), ERROR),
    "a page": Failure(server(http("<html>It works!</html>", kind="text/html")), ERROR),
    "a page that says it is JSON": Failure(server(http("<html>It works!</html>")), ERROR),
    "not JSON": Failure(server(http("allow")), ERROR),
    "nothing": Failure(server(http("")), ERROR),
    "not UTF-8": Failure(server(http(b'{"result": "\xff"}')), ERROR),
    "a number that is none": Failure(server(http('{"result": NaN}')), ERROR),
    "a huge answer": Failure(server(http(b" " * MOST_BYTES + b'{"result": 1}')), ERROR),
    "another revision": Failure(
        server(http({"result": {"revision": "sha256:old", "decision": ALLOW}})), GONE
    ),
    "no revision": Failure(server(http({"result": {"decision": ALLOW}})), ERROR),
    "a revision it does not hold": Failure(
        server(http({"result": {"revision": None, "decision": None}})), GONE
    ),
    "a decision alone": Failure(server(http({"result": ALLOW})), ERROR),
    "dead": Failure(dead, GONE),
    "slow": Failure(server(silence, 0.05), GONE),
    "hangs up": Failure(server(hangs_up), GONE),
    "promises more than it says": Failure(server(promises_more), GONE),
    "left alone": Failure(left_alone, GONE),
    "a bundle that is not signed": Failure(spoilt("unsigned"), GONE),
    "a bundle that is badly signed": Failure(spoilt("rules taken out"), GONE),
    "a bundle cut short": Failure(spoilt("cut short"), GONE),
    "a bundle of another key": Failure(wrong_key, ERROR),
    "a stale bundle": Failure(
        server(http({"result": {"revision": "sha256:stale", "decision": ALLOW}})), GONE
    ),
}


async def refused(failure: Failure, stage: str, request: pytest.FixtureRequest) -> None:
    async with failure.policy(request) as policy:
        asked = Asked(policy, failure.change) if failure.change else policy
        for cached in (0, 100):
            remembering = CachedPolicy(asked, RULES.reads, RULES.instants, size=cached)
            for _ in range(2):
                error = await passed(remembering, stage)
                assert error is not None, "it was let through"
                assert error.code is failure.code, error.message
                assert (error.retry_after is not None) == (
                    failure.code in {GONE, Code.INSPECTION_UNAVAILABLE}
                )


BOTH = ["request", "tool_call"]


@pytest.mark.parametrize("stage", BOTH)
@pytest.mark.parametrize("name", PROCESS)
async def test_in_process(name: str, stage: str, request: pytest.FixtureRequest) -> None:
    await refused(PROCESS[name], stage, request)


@pytest.mark.parametrize("stage", BOTH)
@pytest.mark.parametrize("name", SERVER)
async def test_over_a_server(name: str, stage: str, request: pytest.FixtureRequest) -> None:
    await refused(SERVER[name], stage, request)


@pytest.mark.parametrize("stage", BOTH)
@pytest.mark.parametrize("making", [library(), real(), says(ALLOW), server(http(GOOD))])
async def test_what_does_not_fail_goes_through(
    making: Making, stage: str, request: pytest.FixtureRequest
) -> None:
    """So that what is refused above is refused for what is wrong with it."""
    async with making(request) as policy:
        assert await passed(policy, stage) is None


UNBUILT: dict[str, tuple[bytes, Mapping[str, Any]]] = {
    "corrupt": (MODULE[:-100], {}),
    "turned": (MODULE[:1000] + bytes(100) + MODULE[1100:], {}),
    "no module": (b"", {}),
    "another ABI": (wasm.module(abi=2), {}),
    "another entrypoint": (wasm.module(entrypoints='{"another/decision": 0}'), {}),
    "builtins of the host": (wasm.module(builtins=2048), {}),
    "data that it cannot read": (wasm.module(parsed=0), {}),
    "a pack larger than its memory": (MODULE, {"rules": ["x" * (70 << 20)]}),
}


@pytest.mark.parametrize("name", UNBUILT)
def test_a_module_that_is_no_good_never_decides(name: str) -> None:
    made, pack = UNBUILT[name]
    with pytest.raises(ValueError, match="not a compiled policy"):
        WasmPolicy(made, pack, REVISION)


class Moving:
    """A policy that answers under another revision than it says, and is then what it says."""

    def __init__(self, allows: bool) -> None:
        self.revision, self._allows = "sha256:old", allows

    async def decide(self, question: Question) -> Decision:
        old = await WasmPolicy(wasm.answering(ALLOW), {}, "sha256:old").decide(question)
        if self.revision == "sha256:new" and not self._allows:
            raise Unavailable(Code.POLICY_ERROR, "no")
        self.revision = "sha256:new"
        return old


@pytest.mark.parametrize("stage", BOTH)
async def test_what_another_revision_decided_is_not_remembered_for_this_one(stage: str) -> None:
    """The revision changed while it was asked: what was allowed then is asked anew."""
    cached = CachedPolicy(Moving(False), RULES.reads, RULES.instants)
    assert await passed(cached, stage) is None
    error = await passed(cached, stage)
    assert error is not None
    assert error.code is ERROR


def test_there_are_enough_of_them() -> None:
    assert len(PROCESS) >= 30
    assert len(SERVER) >= 30
    assert {"undefined", "a runtime error", "out of fuel"} <= PROCESS.keys()
