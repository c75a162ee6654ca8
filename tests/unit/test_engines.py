"""Which engine decides, what OPA servers are given, and when a new revision can decide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import engines
from gateway.adapters.packs import compose, load_pack, question_of, read_folder
from gateway.core.errors import Code, Unavailable
from gateway.core.policy import Effect
from gateway.engines import Engines
from gateway.settings import Settings, baseline_pack
from tests.contracts.policy_server import PolicyServer, opa_binary
from tests.unit.adapters.packs.rego import REGO, pack_of

EAGER = REGO.replace("tokens > input.params.most", "tokens > 1")
RULES = compose([load_pack(read_folder(baseline_pack()))])
OTHER = replace(RULES, revision="sha256:other", data={**RULES.data, "revision": "sha256:other"})


def made(folder: Path, **policy: Any) -> Engines:
    return Engines(Settings(data_dir=folder, policy=policy))  # type: ignore[arg-type]


async def test_in_process_it_decides_at_once_and_is_there_for_servers(tmp_path: Path) -> None:
    found = made(tmp_path)
    policy = found.policy(RULES)
    assert (await policy.decide(question_of({}))).effect is Effect.ALLOW
    other = await found.changed_to(OTHER)
    assert (await other.decide(question_of({}))).revision == "sha256:other"
    assert found.bundles.revisions == {RULES.revision, "sha256:other"}
    found.release(RULES)
    assert found.bundles.revisions == {"sha256:other"}
    await found.start()
    await found.stop()


async def test_the_key_is_made_when_a_bundle_is_first_asked_for(tmp_path: Path) -> None:
    found = made(tmp_path)
    found.policy(RULES)
    path = tmp_path / "policy-bundle.key"
    assert not path.exists()
    assert (await found.bundles.answer({})).status == 200
    assert path.stat().st_mode & 0o777 == 0o600
    assert (await made(tmp_path, bundle_key=tmp_path / "k").bundles.answer({})).status == 200
    assert (tmp_path / "k").exists()


async def test_a_server_that_does_not_get_them_keeps_the_old_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked for once is still offered, so that the next try may find it there."""
    monkeypatch.setattr(engines, "CHANGING", 0.0)
    server = PolicyServer(opa_binary())
    try:
        server.publish_pack(RULES.data)
        found = made(tmp_path, engine="opa", opa_url=server.url, timeout_seconds=30)
        policy = found.policy(RULES)
        for rules in (OTHER, OTHER):
            with pytest.raises(Unavailable, match="does not hold") as refused:
                await found.changed_to(rules)
            assert refused.value.code is Code.POLICY_UNAVAILABLE
            assert found.bundles.revisions == {RULES.revision, "sha256:other"}
        assert (await policy.decide(question_of({}))).effect is Effect.ALLOW
        server.publish_packs({RULES.revision: RULES.data, "sha256:other": OTHER.data})
        assert (await (await found.changed_to(OTHER)).decide(question_of({}))).revision == (
            "sha256:other"
        )
        found.release(OTHER)
        assert found.bundles.revisions == {RULES.revision}
        await found.stop()
    finally:
        server.stop()


async def test_what_is_given_up_is_not_offered_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "CHANGING", 0.0)
    found = made(tmp_path, engine="opa", opa_url="http://127.0.0.1:1")
    found.policy(RULES)
    third = replace(OTHER, revision="sha256:third")
    for rules in (OTHER, third):
        with pytest.raises(Unavailable):
            await found.changed_to(rules)
        assert found.bundles.revisions == {RULES.revision, rules.revision}
    await found.stop()


async def test_a_server_of_our_own(tmp_path: Path) -> None:
    """Started with us, it decides by each revision from the moment that it is there."""
    found = made(
        tmp_path, engine="opa", opa_child=True, opa_binary=opa_binary(), timeout_seconds=30
    )
    await found.start()
    try:
        policy = await found.changed_to(RULES)
        assert (await policy.decide(question_of({}))).effect is Effect.ALLOW
        other = await found.changed_to(OTHER)
        assert (await other.decide(question_of({}))).revision == "sha256:other"
        assert (await policy.decide(question_of({"model": "x"}))).revision == RULES.revision
    finally:
        await found.stop()


def test_what_cannot_be_asked_is_refused_by_the_name_of_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="GOVGATE_POLICY__OPA_URL: not the URL"):
        made(tmp_path, engine="opa", opa_url="opa:8181")
    with pytest.raises(ValueError, match="GOVGATE_POLICY__OPA_BINARY: there is no program"):
        made(tmp_path, engine="opa", opa_child=True, opa_binary="/no/opa")


@pytest.mark.parametrize("engine", ["wasm", "opa"])
async def test_rego_of_a_pack_comes_into_force_only_where_it_was_compiled(
    tmp_path: Path, engine: str
) -> None:
    """Whichever engine decides: an OPA server is given no text that was not checked."""
    told: dict[str, Any] = (
        {} if engine == "wasm" else {"engine": "opa", "opa_url": "http://127.0.0.1:1"}
    )
    rules = compose([load_pack(pack_of())])
    without = made(tmp_path, opa_binary="no-such-opa", **told)
    with pytest.raises(ValueError, match="no-such-opa"):
        without.policy(rules)
    with pytest.raises(ValueError, match="no-such-opa"):
        await without.changed_to(rules)
    assert not without.bundles.revisions
    made(tmp_path, opa_binary=opa_binary(), **told).policy(rules)
    policy = without.policy(rules)
    assert policy.revision == rules.revision
    assert without.bundles.revisions == {rules.revision}


async def test_rego_of_a_pack_decides_anew_each_time(tmp_path: Path) -> None:
    rules = compose([load_pack(pack_of())])
    policy = made(tmp_path, opa_binary=opa_binary()).policy(rules)
    question: Any = question_of({})
    for tokens, effect in ((1, Effect.ALLOW), (5000, Effect.DENY), (4000, Effect.ALLOW)):
        question["context"]["request"]["tokens"] = tokens
        assert (await policy.decide(question)).effect is effect


async def test_a_server_of_ours_decides_by_rego_of_two_revisions(tmp_path: Path) -> None:
    """Side by side, from one bundle."""
    found = made(
        tmp_path, engine="opa", opa_child=True, opa_binary=opa_binary(), timeout_seconds=30
    )
    await found.start()
    try:
        question: Any = question_of({})
        question["context"]["request"]["tokens"] = 50
        old, new = (compose([load_pack(pack_of(text))]) for text in (REGO, EAGER))
        before = await found.changed_to(old)
        after = await found.changed_to(new)
        for _ in range(2):
            assert (await before.decide(question)).effect is Effect.ALLOW
            assert (await after.decide(question)).effect is Effect.DENY
        found.release(old)
        assert (await after.decide(question)).effect is Effect.DENY
    finally:
        await found.stop()
