"""The same questions to both engines, many of them: the engine in process and an OPA server.

`GOVGATE_TEST_QUESTIONS` says how many; the same number asks the same questions.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import compose, engine, load_pack, read_folder
from gateway.core.policy import Verdict
from tests.contracts.policy_cases import KINDS, pack, question, strange_question, write_pack
from tests.contracts.policy_server import ROOT, PolicyServer, opa_binary

QUESTIONS = int(os.environ.get("GOVGATE_TEST_QUESTIONS", "2000"))
FOR_EACH = 200
"""Questions that are put to one pack, in one call of the server."""
BATCH = """package differential

answers := [answer | some asked in input; answer := data.govgate.answer with input as asked]
"""
MODULE = engine().read_bytes()


@pytest.fixture(scope="module")
def server() -> Iterator[PolicyServer]:
    server = PolicyServer(opa_binary())
    response = httpx.put(f"{server.url}/v1/policies/differential", content=BATCH, timeout=30)
    response.raise_for_status()
    yield server
    server.stop()


def asked(dice: Random) -> dict[str, Any]:
    """A question; one in ten is not of the known shape."""
    return strange_question(dice) if dice.random() < 0.1 else question(dice)


def answered(server: PolicyServer, revision: str, questions: list[dict[str, Any]]) -> list[Any]:
    """What the server answers to each."""
    batch = [{"revision": revision, "question": each} for each in questions]
    response = httpx.post(
        f"{server.url}/v1/data/differential/answers", json={"input": batch}, timeout=60
    )
    response.raise_for_status()
    found: list[Any] = response.json()["result"]
    return found


def test_both_engines_decide_alike(server: PolicyServer) -> None:
    dice = Random(20_261_123)
    effects: dict[str, int] = {}
    for _ in range(max(1, QUESTIONS // FOR_EACH)):
        with tempfile.TemporaryDirectory() as folder:
            rules = compose([load_pack(read_folder(write_pack(pack(dice), Path(folder))))])
        questions = [asked(dice) for _ in range(FOR_EACH)]
        server.publish_pack(rules.data)
        answers = answered(server, rules.revision, questions)
        assert len(answers) == FOR_EACH
        verdicts = asyncio.run(in_process(rules.data, rules.revision, questions))
        for each, answer, verdict in zip(questions, answers, verdicts, strict=True):
            assert answer["revision"] == rules.revision
            assert Verdict.parse(answer["decision"]) == verdict, json.dumps(each)
            effects[verdict.effect] = effects.get(verdict.effect, 0) + 1
    assert QUESTIONS < 2_000 or effects.keys() == {"allow", "deny", "review"}, effects


async def in_process(data: Any, revision: str, questions: list[dict[str, Any]]) -> list[Verdict]:
    policy = WasmPolicy(MODULE, data, revision)
    return [(await policy.decide(each)).verdict for each in questions]


def test_packs_of_every_kind_are_made() -> None:
    schema = json.loads((ROOT / "policies" / "schemas" / "pack.json").read_text())
    assert set(KINDS) == set(schema["$defs"]["kinds"])


async def test_the_library_knows_every_kind_and_no_other() -> None:
    """A kind that the schema admits and the library does not know would refuse everything."""
    schema = json.loads((ROOT / "policies" / "schemas" / "pack.json").read_text())
    for kind in [*schema["$defs"]["kinds"], "unheard-of"]:
        data = {"rules": {kind: {}}, "exceptions": {}, "revision": "r"}
        (verdict,) = await in_process(data, "r", [question(Random(1))])
        refused = "rule_kind_unknown" in {reason.code for reason in verdict.reasons}
        assert refused == (kind == "unheard-of"), kind
