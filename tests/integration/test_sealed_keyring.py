"""A gateway whose keyring rests sealed: it serves, is backed up, and comes back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from gateway.adapters.keyring import header_of
from tests.houses import House, embedded
from tests.sealing import KMS_ACCESS, TOKEN, Kms, Transit


def by_vault(transit: Transit) -> dict[str, str]:
    return {"GOVGATE_KEYRING__SEAL": transit.seal(), "GOVGATE_KEYRING__VAULT_TOKEN": TOKEN}


def by_kms(kms: Kms) -> dict[str, str]:
    told = {
        "GOVGATE_KEYRING__SEAL": f"awskms:{kms.key}",
        "GOVGATE_KEYRING__KMS_ENDPOINT": kms.endpoint,
    }
    return {**told, **KMS_ACCESS}


@pytest.fixture(params=["vault", "awskms"])
def sealed(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """The settings of a seal."""
    if request.param == "vault":
        return by_vault(request.getfixturevalue("transit"))
    return by_kms(request.getfixturevalue("kms"))


def host(folder: Path, name: str, told: Mapping[str, str]) -> House:
    (folder / name).mkdir()
    return embedded(folder / name, **told)


def ask(house: House) -> httpx.Response:
    said = httpx.post(
        f"{house.base_url}/chat/completions",
        headers={"authorization": f"Bearer {house.key()}"},
        json={
            "model": "replay-small",
            "messages": [{"role": "user", "content": "hello from afar"}],
        },
    )
    assert said.status_code == 200, said.text
    return said


def shown(house: House, exchange_id: str) -> str:
    done = house.run("inspect", exchange_id, "--reason", "a test")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_serves_and_its_backup_comes_back(sealed: Mapping[str, str], tmp_path: Path) -> None:
    first = host(tmp_path, "first", sealed)
    first.start()
    try:
        id = ask(first).headers["x-request-id"]
        copy = tmp_path / "copy"
        done = first.run("backup", "--out", str(copy))
        assert done.returncode == 0, done.stderr
    finally:
        first.stop()
    kept = copy / "keyring.json"
    assert kept.read_bytes() == (first.folder / "keyring.json").read_bytes()
    assert header_of(kept.read_bytes()).seal == sealed["GOVGATE_KEYRING__SEAL"]
    bare = host(tmp_path, "bare", {})
    refused = bare.run("restore", "--from", str(copy))
    assert refused.returncode == 1
    assert "set GOVGATE_KEYRING__SEAL" in refused.stderr
    assert not list(bare.folder.iterdir())
    second = host(tmp_path, "second", sealed)
    done = second.run("restore", "--from", str(copy))
    assert done.returncode == 0, done.stderr
    assert "good: root" in done.stdout
    assert "hello from afar" in shown(second, id)
    second.start()
    try:
        assert ask(second).headers["x-request-id"] != id
    finally:
        second.stop()


def test_it_does_not_start_without_its_service(transit: Transit, tmp_path: Path) -> None:
    house = host(tmp_path, "house", by_vault(transit))
    house.start()
    id = ask(house).headers["x-request-id"]
    transit.sealed = True
    ask(house)  # one that runs needs the service no more
    house.stop()
    before = (house.folder / "keyring.json").read_bytes()
    failed = house.run("serve", "--port", "0")
    assert failed.returncode == 1
    assert f"{transit.seal()} answers 503" in failed.stderr
    assert TOKEN not in failed.stdout + failed.stderr
    assert (house.folder / "keyring.json").read_bytes() == before
    transit.sealed = False
    asked = len(transit.asked)
    house.start()
    try:
        assert len(transit.asked) == asked + 1
        assert "hello from afar" in shown(house, id)
    finally:
        house.stop()


def test_a_running_gateway_does_not_notice_that_it_is_sealed(
    transit: Transit, tmp_path: Path
) -> None:
    plain = host(tmp_path, "house", {})
    plain.start()
    try:
        id = ask(plain).headers["x-request-id"]
        plain.env.update(by_vault(transit))
        done = plain.run("keyring", "seal")
        assert done.returncode == 0, done.stderr
        ask(plain)
    finally:
        plain.stop()
    plain.start()
    try:
        ask(plain)
        assert "hello from afar" in shown(plain, id)
    finally:
        plain.stop()
