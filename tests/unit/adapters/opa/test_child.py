"""A real OPA server of our own: what it takes for a bundle, how it comes back, how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import aiohttp
import pytest

from gateway.adapters.bundle_key import BundleKey
from gateway.adapters.opa import OpaChild
from gateway.adapters.packs import question_of
from gateway.core.errors import Code, Unavailable
from gateway.core.policy import Effect
from gateway.core.policy_bundles import BundleAnswer
from tests.contracts.policy_server import ROOT, opa_binary
from tests.unit.adapters.opa.children import LONG, NONE, RULES, SPOILT, ours, until, weakened

if sys.platform != "linux":
    pytest.skip("processes end with their parent on Linux only", allow_module_level=True)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> BundleKey:
    return BundleKey.open(tmp_path_factory.mktemp("key") / "key")


async def test_it_decides_by_what_it_fetched_and_by_what_is_new(key: BundleKey) -> None:
    async with ours(key) as opa:
        await opa.policy().ready(LONG)
        assert (await opa.policy().decide(question_of({}))).effect is Effect.ALLOW
        opa.bundles.hold("sha256:none", NONE)
        second = opa.policy("sha256:none")
        await second.ready(LONG)
        assert (await second.decide(question_of({}))).effect is Effect.DENY
        assert (await opa.policy().decide(question_of({}))).effect is Effect.ALLOW
        assert all(asked["prefer"].startswith("modes=snapshot") for asked in opa.fetched)
        assert "wait=30" in opa.fetched[-1]["prefer"]


async def test_what_is_retired_is_decided_by_no_longer(key: BundleKey) -> None:
    async with ours(key) as opa:
        await opa.policy().ready(LONG)
        opa.bundles.hold("sha256:none", NONE)
        opa.bundles.release(RULES.revision)
        await opa.policy("sha256:none").ready(LONG)
        with pytest.raises(Unavailable, match="does not hold") as refused:
            await opa.policy().decide(question_of({}))
        assert refused.value.code is Code.POLICY_UNAVAILABLE


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
async def test_a_spoilt_bundle_never_takes_the_place_of_a_good_one(
    spoil: Callable[[bytes], bytes], key: BundleKey
) -> None:
    """What was in force decides on; what is new is not decided by."""
    bad = question_of({"findings": [{"kind": "phrase", "label": "weapons"}]})
    async with ours(key) as opa:
        await opa.policy().ready(LONG)
        opa.spoil = spoil
        opa.bundles.hold("sha256:none", NONE)
        await opa.refuses_its_bundle()
        assert (await opa.policy().decide(question_of({}))).effect is Effect.ALLOW
        assert (await opa.policy().decide(bad)).effect is Effect.DENY
        with pytest.raises(Unavailable, match="does not hold sha256:none"):
            await opa.policy("sha256:none").decide(question_of({}))


async def test_a_server_that_never_got_a_good_bundle_decides_nothing(key: BundleKey) -> None:
    async with ours(key, spoil=weakened) as opa:
        await opa.refuses_its_bundle()
        with pytest.raises(Unavailable) as refused:
            await opa.policy().decide(question_of({}))
        assert refused.value.code is Code.POLICY_ERROR


async def test_a_bundle_that_another_key_signed_is_none(key: BundleKey, tmp_path: Path) -> None:
    other = BundleKey.open(tmp_path / "other").public_pem
    async with ours(key, public_pem=other, spoil=bytes) as opa:
        await opa.refuses_its_bundle()
        with pytest.raises(Unavailable):
            await opa.policy().decide(question_of({}))


async def test_nobody_can_change_what_it_decides_by(key: BundleKey) -> None:
    """Whoever reaches its port can ask it, and can neither replace rules nor data."""
    async with ours(key) as opa, aiohttp.ClientSession() as session:
        await opa.policy().ready(LONG)
        rule = "package govgate\n\nimport rego.v1\n\nanswer := 1"
        url = f"{opa.child.url}/v1"
        async with session.put(f"{url}/policies/lib/served.rego", data=rule) as answer:
            assert answer.status == 400
        async with session.put(f"{url}/policies/mine", data=rule) as answer:
            assert answer.status == 400
        async with session.put(f"{url}/data/packs", json={}) as answer:
            assert answer.status == 400
        assert (await opa.policy().decide(question_of({}))).effect is Effect.ALLOW


async def test_only_the_child_is_given_the_bundle(key: BundleKey) -> None:
    async with ours(key) as opa, aiohttp.ClientSession() as session:
        await opa.policy().ready(LONG)
        service = await opa.child._serve_bundles()
        async with session.get(f"{service}/bundle.tar.gz") as answer:
            assert answer.status == 401
        bearer = {"authorization": "Bearer guessed"}
        async with session.get(f"{service}/bundle.tar.gz", headers=bearer) as answer:
            assert answer.status == 401


async def test_it_is_started_again_when_it_dies(key: BundleKey) -> None:
    async with ours(key) as opa:
        await opa.policy().ready(LONG)
        first = opa.child.pid
        assert first is not None
        for _ in range(2):
            before = opa.child.pid
            assert before is not None
            os.kill(before, signal.SIGKILL)
            await until(lambda before=before: opa.child.pid not in (before, None))
            await opa.policy().ready(LONG)
        assert (await opa.policy().decide(question_of({}))).effect is Effect.ALLOW


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_it_ends_and_leaves_nothing(key: BundleKey) -> None:
    async with ours(key) as opa:
        await opa.policy().ready(LONG)
        pid, folder = opa.child.pid, opa.child._folder
        assert pid is not None
        assert folder is not None
        assert folder.stat().st_mode & 0o777 == 0o700
        await opa.child.stop()
        assert gone(pid)
        assert not folder.exists()
        await opa.child.stop()


PARENT = """
import asyncio, sys
from gateway.adapters.opa import OpaChild
from gateway.core.policy_bundles import BundleAnswer

async def fetch(headers):
    return BundleAnswer(404, {})

async def main():
    child = OpaChild(sys.argv[1], fetch, "")
    await child.start()
    while child.pid is None:
        await asyncio.sleep(0.01)
    print(child.pid, child._folder, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """No time is left to that parent to do anything about it."""
    env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PARENT, opa_binary()]
    parent = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, env=env)
    assert parent.stdout is not None
    pid = int((await parent.stdout.readline()).split()[0])
    assert not gone(pid)
    parent.kill()
    await parent.wait()
    await until(lambda: gone(pid))


async def test_the_program_may_be_named_from_where_we_are(
    key: BundleKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = Path(opa_binary())
    monkeypatch.chdir(binary.parent)
    async with ours(key, binary=f"./{binary.name}") as opa:
        await opa.policy().ready(LONG)


def test_without_the_program_it_says_what_to_do() -> None:
    async def fetch(headers: Mapping[str, str]) -> BundleAnswer:
        raise AssertionError("nobody asks")

    with pytest.raises(ValueError, match="there is no program '/no/opa': install OPA"):
        OpaChild("/no/opa", fetch, "")
