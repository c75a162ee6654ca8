"""The local keyring: made once, kept safe, never the wrong one."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.adapters.keyring import Keyring, KeyringError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets" / "keyring.json"


def test_it_is_made_once_for_its_owner_only(path: Path) -> None:
    made = Keyring.open(path, None)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Keyring.open(path, None) == made
    assert Keyring.open(path, made.id) == made
    assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]


def test_each_has_secrets_of_its_own(tmp_path: Path) -> None:
    one, other = (Keyring.open(tmp_path / name, None) for name in ("a", "b"))
    secrets = {*one.keks.values(), *other.keks.values(), one.pepper, other.pepper}
    assert len(secrets | {one.index_key, other.index_key}) == 6
    assert one.id != other.id


def test_two_processes_starting_at_once_agree(path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        opened = list(threads.map(lambda _: Keyring.open(path, None), range(8)))
    assert {keyring.id for keyring in opened} == {opened[0].id}


def test_records_without_their_keyring_refuse(path: Path) -> None:
    with pytest.raises(KeyringError, match="restore it"):
        Keyring.open(path, "krg_1")
    assert not path.exists()


def test_records_of_another_keyring_refuse(path: Path) -> None:
    Keyring.open(path, None)
    with pytest.raises(KeyringError, match="need krg_1"):
        Keyring.open(path, "krg_1")


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o666])
def test_others_may_not_use_it(path: Path, mode: int) -> None:
    Keyring.open(path, None)
    path.chmod(mode)
    with pytest.raises(KeyringError, match="chmod 600"):
        Keyring.open(path, None)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"keks": []},
        {"keks": [{"id": "kek_1", "key": "c2hvcnQ="}]},
        {"pepper": "not base64!"},
        {"index_key": None},
        {"keks": None},
    ],
)
def test_what_is_no_keyring_is_refused(path: Path, change: dict[str, object]) -> None:
    Keyring.open(path, None)
    file = json.loads(path.read_text())
    path.write_text(json.dumps(file | change))
    with pytest.raises(KeyringError, match="not a keyring"):
        Keyring.open(path, None)


@pytest.mark.parametrize("content", ["", "[]", '"x"', "{"])
def test_what_is_no_json_object_is_refused(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeyringError, match="not a keyring"):
        Keyring.open(path, None)


def test_a_key_is_wrapped_for_its_context(path: Path) -> None:
    keyring, key = Keyring.open(path, None), os.urandom(32)
    kek_id, wrapped = keyring.wrap(key, "exc_1")
    assert keyring.unwrap(kek_id, wrapped, "exc_1") == key
    assert key not in wrapped
    for altered in (wrapped[:-1], wrapped[:-1] + bytes([wrapped[-1] ^ 1]), b""):
        with pytest.raises(KeyringError, match="altered"):
            keyring.unwrap(kek_id, altered, "exc_1")
    with pytest.raises(KeyringError, match="altered"):
        keyring.unwrap(kek_id, wrapped, "exc_2")
    with pytest.raises(KeyringError, match="no key kek_9"):
        keyring.unwrap("kek_9", wrapped, "exc_1")


def test_rotation_keeps_what_was_wrapped_before(path: Path) -> None:
    old, key = Keyring.open(path, None), os.urandom(32)
    kek_id, wrapped = old.wrap(key, "exc_1")
    fresh = Keyring.rotate(path)
    assert Keyring.open(path, old.id) == fresh
    assert fresh.unwrap(kek_id, wrapped, "exc_1") == key
    assert fresh.wrap(key, "exc_2")[0] != kek_id
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_never_shows_its_secrets(path: Path) -> None:
    keyring = Keyring.open(path, None)
    for secret in (keyring.pepper, keyring.index_key, *keyring.keks.values()):
        assert repr(secret) not in repr(keyring)
