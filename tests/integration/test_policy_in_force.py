"""Three gateways on one database, under load, while releases come and go and stops are placed."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.adapters.keyring import Keyring
from gateway.adapters.packs import compose, digest_of, load_pack, read_folder
from gateway.adapters.store.policies import SqlPolicies
from gateway.adapters.store.records import SqlRecords, StoredEntry
from gateway.core.ids import new_id
from gateway.core.policies import Canary, PackFiles, Release, Rollout, Stop, Stopped, Version
from gateway.settings import baseline_pack
from tests.houses import House, embedded

PATIENCE = 30.0
"""Seconds; a bound for what never comes, on a machine that does other things too."""
CALLERS = 9
PAUSE = 0.15
"""Seconds that a caller leaves between two calls: some tens of them in a second, together."""
SAYS = "alpha and beta went to market"
TOOL = {"type": "function", "function": {"name": "send", "parameters": {"type": "object"}}}


def pack(name: str, phrase: str) -> PackFiles:
    """The baseline with a list and a label of its own, so that what is done tells which it was."""
    rules = f"""id: words.{name}
title: Words
kind: phrase
mode: observe
params: {{direction: input, list: words-{name}}}
on_match: deny
severity: low
message: {{en: A word.}}
---
id: label.{name}
title: A label
kind: label
mode: enforce
params: {{labels: [policy-{name}]}}
severity: low
message: {{en: A label.}}
"""
    words = f"id: words-{name}\ntitle: Words\nphrases:\n  en:\n    - {phrase}\n"
    files = dict(read_folder(baseline_pack()))
    return {**files, "rules/own.yaml": rules, "lists/own.yaml": words}


@dataclass
class Asked:
    """One call, and what came back."""

    status: int
    id: str
    revision: str
    body: str
    at: float


@dataclass
class Site:
    """Three gateways, and the store through which they are told what to do."""

    houses: Sequence[House]
    store: SqlPolicies
    revisions: dict[str, str] = field(default_factory=dict)
    """The revision of each release, by its name."""
    asked: list[Asked] = field(default_factory=list)

    async def release(self, name: str, phrase: str) -> None:
        files = pack(name, phrase)
        loaded = load_pack(files)
        now, digest = datetime.now(UTC), digest_of(files)
        await self.store.add_version(Version(digest, loaded.id, loaded.version, files, "ann", now))
        self.revisions[name] = compose([loaded]).revision
        packs = {loaded.id: digest}
        told = Release(name, self.revisions[name], packs, None, "ann", now, False)
        await self.store.add_release(told)

    async def move(self, active: str, **more: Any) -> int:
        """Bring a release into force; the number of the rollout."""
        before = (await self.store.standing()).rollout
        number = before.number + 1 if before else 1
        previous = before.active if before else None
        told = {"previous": previous, "changed_by": "ann", "changed_at": datetime.now(UTC)}
        await self.store.move(Rollout(number, active, **{**told, **more}))
        return number

    async def acknowledged(self, number: int) -> float:
        """Return once every gateway runs a rollout: after how many seconds."""
        began = time.monotonic()

        async def done() -> bool:
            nodes = await self.store.nodes(datetime.now(UTC) - timedelta(seconds=PATIENCE))
            return sum(node.number == number for node in nodes) == len(self.houses)

        await until(done)
        return time.monotonic() - began

    async def stop(self, what: Stopped, name: str) -> str:
        stop = Stop(new_id("stp"), what, name, "because", "ann", datetime.now(UTC))
        await self.store.add_stop(stop)
        return stop.id

    async def lift(self, id: str) -> None:
        assert await self.store.lift_stop(id, "ann", datetime.now(UTC))

    async def ask(self, house: House, client: httpx.AsyncClient, **more: Any) -> Asked:
        request = {"model": "replay-small", "messages": [{"role": "user", "content": SAYS}]}
        headers = {"authorization": f"Bearer {self.houses[0].key()}"}
        url = f"{house.base_url}/chat/completions"
        answer = await client.post(url, json={**request, **more}, headers=headers)
        told = answer.headers
        revision = told.get("x-govgate-policy-revision", "")
        asked = Asked(
            answer.status_code, told["x-request-id"], revision, answer.text, time.monotonic()
        )
        self.asked.append(asked)
        return asked

    async def everywhere(self, client: httpx.AsyncClient, status: int, **more: Any) -> float:
        """Return once every gateway answers with a status: after how many seconds."""
        began = time.monotonic()
        for house in self.houses:

            async def done(house: House = house) -> bool:
                return (await self.ask(house, client, **more)).status == status

            await until(done)
        return time.monotonic() - began

    async def records(self) -> dict[str, Sequence[StoredEntry]]:
        """The record of every exchange."""
        keyring = Keyring.open(self.houses[0].folder / "keyring.json", None)
        records = SqlRecords(self.houses[0].database_url, keyring)
        try:
            return {one.id: await records.read_exchange(one.id) for one in self.asked}
        finally:
            await records.stop()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return once it holds, which another process brings about."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Three gateways that serve, on a database of either kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    houses: list[House] = []
    for name in ("one", "two", "three"):
        folder = tmp_path / name
        folder.mkdir()
        if houses:
            for kept in ("keyring.json", "log.key"):
                shutil.copy(houses[0].folder / kept, folder)
        house = embedded(folder, GOVGATE_DATABASE__URL=url)
        house.database_url = url
        house.start()
        houses.append(house)
    yield Site(houses, SqlPolicies(url))
    for house in houses:
        house.stop()


def facts(entries: Sequence[StoredEntry]) -> dict[str, Any]:
    """The facts of all entries, the later over the earlier."""
    merged: dict[str, Any] = {}
    for entry in entries:
        merged |= entry.header["facts"]
    return merged


def check_one_policy(site: Site, entries: Sequence[StoredEntry]) -> str:
    """What was found, decided and done is of one revision; the name of its release."""
    told = facts(entries)
    names = {revision: name for name, revision in site.revisions.items()}
    name = names.get(told["decision"]["revision"], "baseline")
    found = {finding["label"] for finding in told["findings"]}
    own = name != "baseline"
    assert found == ({f"words-{name}"} if own else set()), told
    assert told["labels"] == ([f"policy-{name}"] if own else []), told
    assert ("label" in told["decision"]["obligations"]) is own
    return name


def test_activation_and_rollback_under_load_mix_nothing_and_refuse_nobody(site: Site) -> None:
    times: list[float] = []

    async def callers(over: asyncio.Event, client: httpx.AsyncClient, number: int) -> None:
        house = site.houses[number % len(site.houses)]
        while not over.is_set():
            await site.ask(house, client, stream=number % 2 == 0)
            await asyncio.sleep(PAUSE)

    async def change(over: asyncio.Event) -> None:
        await site.release("a", "alpha")
        await site.release("b", "beta")
        for active in ("a", "b", "a", "b"):  # the last two are rollbacks
            times.append(await site.acknowledged(await site.move(active)))
            await asyncio.sleep(5 * PAUSE)
        over.set()

    async def run() -> dict[str, Sequence[StoredEntry]]:
        over = asyncio.Event()
        async with httpx.AsyncClient(timeout=PATIENCE) as client, asyncio.TaskGroup() as group:
            group.create_task(change(over))
            for number in range(CALLERS):
                group.create_task(callers(over, client, number))
        read = await site.records()
        await site.store.stop()
        return read

    site.houses[0].key()
    records = asyncio.run(run())
    refused = [one for one in site.asked if one.status != 200]
    assert refused == []
    passed = [check_one_policy(site, records[one.id]) for one in site.asked]
    for one in site.asked:
        assert one.revision == facts(records[one.id])["decision"]["revision"]
    assert {"a", "b"} <= set(passed)
    assert len(site.asked) >= 4 * CALLERS
    print("acknowledged after", [round(seconds, 2) for seconds in times], "of", len(passed))


def test_a_canary_passes_the_whole_of_its_release(site: Site) -> None:
    async def run() -> dict[str, Sequence[StoredEntry]]:
        await site.release("a", "alpha")
        await site.release("b", "beta")
        canary = Canary(percent=50)
        await site.acknowledged(await site.move("a", trying="b", canary=canary))
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            for house in site.houses:
                for user in range(12):
                    client.headers["x-govgate-user"] = f"user-{user}"
                    await site.ask(house, client)
        read = await site.records()
        await site.store.stop()
        return read

    records = asyncio.run(run())
    passed = [check_one_policy(site, records[one.id]) for one in site.asked]
    assert set(passed) == {"a", "b"}
    assert passed[:12] == passed[12:24] == passed[24:], "a user falls on one side, everywhere"


def test_a_stop_holds_everywhere_within_moments_until_it_is_lifted(site: Site) -> None:
    took: dict[str, float] = {}

    async def run() -> tuple[dict[str, Sequence[StoredEntry]], list[tuple[str, Asked]]]:
        refused: list[tuple[str, Asked]] = []
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            for what, name in (
                (Stopped.APP, "test"), (Stopped.MODEL, "replay-*"), (Stopped.TOOL, "SEND"),
                (Stopped.EVERYTHING, "*"),
            ):  # fmt: skip
                await site.everywhere(client, 200, tools=[TOOL])
                stop = await site.stop(what, name)
                took[str(what)] = await site.everywhere(client, 403, tools=[TOOL])
                # one that begins after the stop: the last may have run into it
                refused += [
                    (stop, await site.ask(house, client, tools=[TOOL])) for house in site.houses
                ]
                await site.lift(stop)
            await site.everywhere(client, 200, tools=[TOOL])
        read = await site.records()
        await site.store.stop()
        return read, refused

    records, refused = asyncio.run(run())
    print("a stop held everywhere after", {what: round(s, 2) for what, s in took.items()})
    assert {one.status for one in site.asked} == {200, 403}
    for stop, one in refused:
        assert '"code":"stopped"' in one.body
        assert stop in one.body
        told = facts(records[one.id])
        assert (told["outcome"], told["code"]) == ("denied", "stopped")
        assert told["stopped_by"] == f"stop:{stop}"
        assert told["decision"]["rules"] == [f"stop:{stop}"]
        assert told["attempts"] == 0


def test_a_running_stream_is_broken_off(site: Site) -> None:
    house = site.houses[0]
    key = house.key()

    async def run() -> tuple[str, str]:
        said = "@replay chunk 1\n@replay slow 0.05\n" + "word " * 400
        request = {"model": "replay-small", "stream": True,
                   "messages": [{"role": "user", "content": said}]}  # fmt: skip
        headers = {"authorization": f"Bearer {key}"}
        heard, stop = "", None
        url = f"{house.base_url}/chat/completions"
        async with (
            httpx.AsyncClient(timeout=PATIENCE) as client,
            client.stream("POST", url, json=request, headers=headers) as answer,
        ):
            async for piece in answer.aiter_text():
                heard += piece
                stop = stop or await site.stop(Stopped.APP, "test")
            id = answer.headers["x-request-id"]
        site.asked.append(Asked(200, id, "", heard, 0.0))
        told = facts((await site.records())[id])
        await site.store.stop()
        assert (told["outcome"], told["stopped_by"]) == ("filtered", f"stop:{stop}")
        return heard, str(stop)

    heard, stop = asyncio.run(run())
    assert stop in heard
    assert heard.count("word") < 400
    assert '"code":"stopped"' in heard
    assert heard.rstrip().endswith("data: [DONE]")
