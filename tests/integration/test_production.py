"""The two columns leave equal records; replicas share a database and never overspend."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.keyring import Keyring
from tests.contracts.policy_server import PolicyServer
from tests.databases import Cluster
from tests.faults.callers import Heard, call
from tests.faults.evidence import Evidence
from tests.houses import DOLLARS, MODEL, PRICED, House, Upstream, behind, production
from tests.integration.scenes import SCENES, Scene

CHANCE = {
    "elapsed_us", "timings_us", "segments", "segment", "started", "id", "upstream_request_id",
}  # fmt: skip
"""Facts that differ from one exchange to the next."""


def shape(scene: Scene) -> list[Any]:
    """A record without what is chance: ids, times, hashes, and its segments.

    What arrives while a commit runs shares the next one, so a short stream may have several
    segments or none; that all of it is on record is for other tests to say.
    """
    return [
        {
            "kind": str(entry.kind),
            "header": sorted(entry.header),
            "writer": sorted(set(entry.header["writer"]) - {"follows"}),
            "facts": settled(entry.header["facts"]),
            "parts": [part["part"] for part in entry.header["parts"]],
        }
        for entry in scene.entries
        if str(entry.kind) != "segment"
    ]


def settled(facts: Any) -> Any:
    """The facts that are not chance."""
    if isinstance(facts, dict):
        return {key: "*" if key in CHANCE else settled(facts[key]) for key in sorted(facts)}
    return [settled(item) for item in facts] if isinstance(facts, list) else facts


@pytest.mark.parametrize("name", SCENES)
def test_both_columns_leave_the_same_record(
    name: str, embedded_house: House, production_house: House
) -> None:
    one, other = SCENES[name](embedded_house), SCENES[name](production_house)
    assert shape(one) == shape(other)
    assert one.answer.status_code == other.answer.status_code
    assert one.asked == other.asked
    for part in ("request_received", "request_sent", "answer_received"):
        assert one.part(part) == other.part(part)
    verdicts = [json.loads(each.part("decision") or b"null") for each in (one, other)]
    assert verdicts[0] == verdicts[1]
    told = {header for header in one.answer.headers if header.startswith("x-")}
    assert told == {header for header in other.answer.headers if header.startswith("x-")}


@pytest.fixture
def replicas(
    tmp_path: Path, cluster: Cluster, baseline_server: PolicyServer, upstream: Upstream
) -> Iterator[list[House]]:
    """Two gateways on one database, each with its own copy of the keyring."""
    url = cluster.create()
    houses: list[House] = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        if houses:
            shutil.copy(houses[0].folder / "keyring.json", folder)
        # This is about money: on a machine with little to give, let the policy take its time.
        patient = {"GOVGATE_POLICY__TIMEOUT_SECONDS": "30"}
        there = {**behind(upstream), **PRICED, **patient}
        house = production(folder, url, baseline_server.url, **there)
        house.start()
        houses.append(house)
    upstream.forget()
    yield houses
    for house in houses:
        house.stop()


LIMIT = 20_000
"""What the key may spend, in micro-USD. A call holds 500 to 600, and costs up to 300."""


def request(number: int) -> dict[str, Any]:
    """Some are streams, some fast; some break, which costs all that was held."""
    directions = ["@replay slow 0.02\n", "", "@replay die-after 3\n", "@replay slow 0.3\n"]
    said = f"{directions[number % 4]}Number {number} says: {'a few words ' * 10}"
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": said}],
        "max_completion_tokens": 100,
        "stream": number % 2 == 0,
    }


def test_two_replicas_never_overspend(replicas: list[House], upstream: Upstream) -> None:
    key = replicas[0].key("--budget", f"{LIMIT / 1e6}")

    async def every() -> list[Heard]:
        ports = [house.port for house in replicas]
        calls = [call(ports[number % 2 ^ number // 2 % 2], key, request(number))
                 for number in range(200)]  # fmt: skip
        # The first fit together, so that both replicas spend; one commit may take the rest.
        first = await asyncio.gather(*calls[:20])
        return [*first, *await asyncio.gather(*calls[20:])]

    heard = asyncio.run(every())
    statuses = Counter(one.status for one in heard)
    assert statuses.keys() <= {200, 429, 502}, [one.body for one in heard if one.status == 503]
    assert statuses[200] >= 10, "most of the budget can be used"
    assert statuses[429] >= 10, "more was asked for than fits"
    assert all(b'"insufficient_quota"' in one.body for one in heard if one.status == 429)

    keyring = Keyring.open(replicas[0].folder / "keyring.json", None)
    evidence = Evidence(replicas[0].database_url, keyring)
    writers = evidence.rows("SELECT DISTINCT writer_epoch FROM audit_entry WHERE kind = 'attempt'")
    assert len(writers) == 2, "both replicas spent"
    spent = evidence.check_money()
    assert spent == evidence.cost_on_record()
    evidence.check_endings()
    evidence.check_chain()
    evidence.dispose()
    charged = upstream.log()["bill"]
    read, said = map(float, DOLLARS)
    billed = read * charged["prompt_tokens"] + said * charged["completion_tokens"]
    assert 0 < billed <= spent <= LIMIT
