"""The stages of a revision are made of packs, and what fails leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.adapters.packs import PackError, digest_of, question_of, read_folder
from gateway.core.errors import Code
from gateway.core.policies import Stopped, Version
from gateway.core.policy import Effect
from gateway.settings import baseline_pack
from gateway.wiring import Gateway
from tests.exchanges import chat_request
from tests.unit.core.test_stopping import stop
from tests.unit.server.wire import Wire
from tests.unit.test_wiring import ask, running, settings

FILES = dict(read_folder(baseline_pack()))
NOW = datetime(2026, 11, 23, tzinfo=UTC)
BANNED = {"findings": [{"kind": "phrase", "label": "weapons"}]}
SMALL = {"model": "replay-small"}


def version(files: dict[str, str]) -> Version:
    return Version(digest_of(files), "baseline", "1.0.0", files, "ann", NOW)


def without(folder: str) -> dict[str, str]:
    """The baseline without the rules in some files."""
    return {name: text for name, text in FILES.items() if not name.startswith((folder, "tests/"))}


async def test_a_revision_decides_by_its_packs(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as gateway:
        builds = gateway.governing.builds
        whole = await builds.revision([version(FILES)], waiting=True)
        less = await builds.revision([version(without("rules/phrases"))], waiting=True)
        assert (await whole.policy.decide(question_of(BANNED))).effect is Effect.DENY
        assert (await less.policy.decide(question_of(BANNED))).effect is Effect.ALLOW
        assert whole.revision != less.revision
        assert whole.finds == less.finds
        for one in (whole, less):
            await one.retire()


async def test_a_candidate_finds_what_its_lists_say(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as gateway:
        builds = gateway.governing.builds
        same = await builds.candidate("rel_1", [version(FILES)])
        words = {**FILES, "lists/more.yaml": "id: more\ntitle: More\nphrases: {en: [alpha]}\n"}
        other = await builds.candidate("rel_2", [version(words)])
        now = gateway.governing.live.in_force
        assert now is not None
        assert same.finds == now.active.finds != other.finds


@pytest.mark.parametrize("which", ["of another digest", "no pack"])
async def test_what_is_no_version_is_not_built_and_not_held(tmp_path: Path, which: str) -> None:
    bad = version({"pack.yaml": "id: [}"})
    if which == "of another digest":
        bad = replace(version(FILES), digest="sha256:another")
    async with running(settings(tmp_path)) as gateway:
        held = gateway.governing.engines.bundles.revisions
        with pytest.raises((ValueError, PackError)):
            await gateway.governing.builds.revision([bad], waiting=True)
        assert gateway.governing.engines.bundles.revisions == held


async def refused(gateway: Gateway, **more: Any) -> Wire:
    wire = await ask(gateway, chat_request(**more) | SMALL)
    assert (wire.status, wire.json["error"]["code"]) == (403, Code.STOPPED)
    return wire


async def test_what_is_stopped_is_refused_with_a_whole_record(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as gateway:
        live = gateway.governing.live
        await gateway.lifecycle.store.add_stop(stop(Stopped.APP, "a"))
        gateway.governing.follower.nudge()
        wire = await ask(gateway, chat_request("to ann@example.org") | SMALL)
        while wire.status == 200:  # until it has looked
            wire = await ask(gateway, chat_request("to ann@example.org") | SMALL)
        assert live.stops
        assert wire.headers["x-should-retry"] == "false"
        assert wire.json["error"]["governance"]["rules"] == ["stop:stp_1"]
        entries = await gateway.records.read_exchange(wire.headers["x-request-id"])
    told = entries[-1].header["facts"]
    assert (told["outcome"], told["code"], told["stopped_by"]) == (
        "denied",
        "stopped",
        "stop:stp_1",
    )
    assert told["decision"]["rules"] == ["stop:stp_1"]
    assert told["decision"]["revision"] == wire.headers["x-govgate-policy-revision"]
    assert [found["label"] for found in told["findings"]] == ["EMAIL_ADDRESS"]


async def test_files_of_an_operator_decide_alone_and_stops_hold(tmp_path: Path) -> None:
    known = settings(tmp_path, policy={"pack": baseline_pack()})
    async with running(known) as gateway:
        told = gateway.governing.follower.told()
        assert (told["rollout"], told["problem"]) == (0, None)
        assert not (tmp_path / "policy.last").exists()
        await gateway.lifecycle.store.add_stop(stop(Stopped.EVERYTHING, "*"))
        while not gateway.governing.live.stops:
            gateway.governing.follower.nudge()
            await ask(gateway, chat_request("hello") | SMALL)
        await refused(gateway)


async def test_what_is_in_force_is_kept_on_the_host(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as gateway:
        told = gateway.governing.follower.told()
    _, _, body = (tmp_path / "policy.last").read_bytes().partition(b"\n")
    kept = orjson.loads(body)
    assert kept["number"] == told["rollout"] == 1
    assert [one["pack"] for one in kept["versions"]] == ["baseline"]
