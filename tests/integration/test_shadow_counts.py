"""What shadows count on two gateways is told as one, and outlasts both."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.houses import House, embedded

PATIENCE = 30.0
"""Seconds; a bound for what never comes."""
BASE = "/api/v1/policies"
NARROW = {
    "change": "SetValue",
    "rule": "models.all",
    "path": ["params", "models"],
    "value": ["replay-small", "any-model*", "model"],
}
"""Under it, `replay-large` is newly denied."""


@pytest.fixture(params=["sqlite", "postgresql"])
def houses(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[House]]:
    """Two gateways that serve, on one database of either kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    made: list[House] = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        if made:
            for kept in ("keyring.json", "log.key"):
                shutil.copy(made[0].folder / kept, folder)
        house = embedded(folder, GOVGATE_DATABASE__URL=url)
        house.database_url = url
        made.append(house)
        house.start()
    yield made
    for house in made:
        house.stop()


def asked(
    house: House, key: str, method: str, path: str, body: Any = None, edition: int = 0
) -> Any:
    root = house.base_url.removesuffix("/v1")
    headers = {"authorization": f"Bearer {key}"}
    if edition:
        headers["if-match"] = f'"{edition}"'
    answer = httpx.request(method, f"{root}{path}", json=body, headers=headers, timeout=PATIENCE)
    assert answer.is_success, answer.text
    return answer.json()


def until(read: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """What is read once it holds, which another process brings about."""
    deadline = time.monotonic() + PATIENCE
    while not holds(found := read()):
        assert time.monotonic() < deadline, found
    return found


def counted(report: Any) -> int:
    return sum(report["counts"].values()) + int(report["dropped"])


def test_two_gateways_count_one_shadow(houses: list[House]) -> None:
    one, two = houses
    key = one.key("--role", "admin")

    def chat(house: House, model: str) -> str:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        return str(asked(house, key, "POST", "/v1/chat/completions", body)["id"])

    def report(house: House) -> Any:
        return asked(house, key, "GET", f"{BASE}/shadow")

    draft = asked(one, key, "POST", f"{BASE}/drafts", {"pack": "baseline"})
    place = f"{BASE}/drafts/{draft['id']}"
    asked(one, key, "PATCH", place, {"changes": [NARROW]}, 1)
    release = asked(one, key, "POST", f"{place}/submit", {}, 2)["id"]
    asked(one, key, "PUT", f"{BASE}/shadow", {"release": release})
    assert one.run("policy", "status", "--wait", str(PATIENCE)).returncode == 0

    for _ in range(3):
        chat(one, "replay-small")
    for house in (one, two, two):
        chat(house, "replay-large")
    for house in houses:
        told = until(lambda house=house: report(house), lambda told: counted(told) == 6)
        assert (told["counts"]["same"], told["counts"]["newly_denied"]) == (3, 3)
        assert (told["rate"], told["shares"]["same"], told["dropped"]) == (0.5, 0.5, 0)
        assert len(told["samples"]) == 3
    since = told["since"]

    chat(two, "replay-large")
    two.stop()
    left = until(lambda: report(one), lambda told: counted(told) == 7)
    assert left["counts"]["newly_denied"] + left["dropped"] == 4
    one.stop()
    kept = one.run("policy", "shadow-report", "--json")
    assert kept.returncode == 0, kept.stderr
    assert json.loads(kept.stdout) == left
    one.start()  # as another process, which has counted nothing
    until(lambda: counted(report(one)), lambda count: count == 7)
    asked(one, key, "DELETE", f"{BASE}/shadow")
    ended = asked(one, key, "GET", f"{BASE}/releases/{release}/shadow")
    assert (counted(ended), ended["since"]) == (7, since)
