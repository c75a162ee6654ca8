"""The local keyring: made once, kept safe, never the wrong one."""

from __future__ import annotations

import base64
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.adapters.keyring import Keyring, KeyringError, header_of
from tests.fakes.seal import FakeSeal


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


class TestSealed:
    @pytest.fixture
    def seal(self) -> FakeSeal:
        return FakeSeal()

    def test_it_is_never_in_the_clear_on_disk(self, path: Path, seal: FakeSeal) -> None:
        made = Keyring.open(path, None, seal)
        content = path.read_bytes()
        for secret in (made.pepper, made.index_key, *made.keks.values()):
            assert base64.b64encode(secret) not in content
        assert path.stat().st_mode & 0o777 == 0o600
        assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]

    def test_one_call_opens_it(self, path: Path, seal: FakeSeal) -> None:
        made = Keyring.open(path, None, seal)
        seal.asked.clear()
        assert Keyring.open(path, made.id, seal) == made
        assert seal.asked == ["unseal"]

    def test_two_processes_starting_at_once_agree(self, path: Path, seal: FakeSeal) -> None:
        with ThreadPoolExecutor(8) as threads:
            opened = list(threads.map(lambda _: Keyring.open(path, None, seal), range(8)))
        assert {keyring.id for keyring in opened} == {opened[0].id}

    def test_without_its_service_nothing_opens(self, path: Path, seal: FakeSeal) -> None:
        made = Keyring.open(path, None, seal)
        before = path.read_bytes()
        seal.down = True
        with pytest.raises(KeyringError, match="fake:seal cannot be reached"):
            Keyring.open(path, made.id, seal)
        assert path.read_bytes() == before

    def test_none_is_made_that_cannot_be_sealed(self, path: Path, seal: FakeSeal) -> None:
        seal.down = True
        with pytest.raises(KeyringError, match="cannot be sealed: fake:seal cannot be reached"):
            Keyring.open(path, None, seal)
        assert not list(path.parent.iterdir())

    def test_without_the_setting_it_says_what_seals_it(self, path: Path, seal: FakeSeal) -> None:
        Keyring.open(path, None, seal)
        with pytest.raises(KeyringError, match="sealed by fake:seal: set GOVGATE_KEYRING__SEAL"):
            Keyring.open(path, None)

    def test_one_in_the_clear_is_refused_where_a_seal_is_wanted(
        self, path: Path, seal: FakeSeal
    ) -> None:
        Keyring.open(path, None)
        with pytest.raises(KeyringError, match="govgate keyring seal"):
            Keyring.open(path, None, seal)
        assert not seal.asked

    def test_rotation_keeps_it_sealed(self, path: Path, seal: FakeSeal) -> None:
        old = Keyring.open(path, None, seal)
        fresh = Keyring.rotate(path, seal)
        assert Keyring.open(path, old.id, seal) == fresh
        assert [*fresh.keks][:-1] == [*old.keks]
        header = header_of(path.read_bytes())
        assert header == (old.id, tuple(fresh.keks), "fake:seal")


class TestReseal:
    def test_from_the_clear_to_one_seal_to_another_and_back(self, path: Path) -> None:
        made, one, other = Keyring.open(path, None), FakeSeal("fake:1"), FakeSeal("fake:2")
        for old, new in ((one, one), (one, one), (one, other), (other, None)):
            assert Keyring.reseal(path, old, new) == made
            assert Keyring.open(path, made.id, new) == made
            assert path.stat().st_mode & 0o777 == 0o600
            assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]

    def test_what_would_not_open_again_takes_no_place(self, path: Path) -> None:
        made, seal = Keyring.open(path, None), FakeSeal()
        before = path.read_bytes()
        seal.forgets = True
        with pytest.raises(KeyringError, match="did not seal this"):
            Keyring.reseal(path, None, seal)
        assert path.read_bytes() == before
        assert Keyring.open(path, None) == made
        assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]

    def test_another_secret_takes_no_place(self, path: Path) -> None:
        class Lying(FakeSeal):
            def unseal(self, sealed: str, context: str) -> bytes:
                return os.urandom(32)

        Keyring.open(path, None)
        before = path.read_bytes()
        with pytest.raises(KeyringError, match="altered"):
            Keyring.reseal(path, None, Lying())
        assert path.read_bytes() == before

    def test_the_wrong_former_seal_changes_nothing(self, path: Path) -> None:
        seal, new = FakeSeal("fake:1"), FakeSeal("fake:2")
        Keyring.open(path, None, seal)
        before = path.read_bytes()
        with pytest.raises(KeyringError, match="it was sealed by fake:1"):
            Keyring.reseal(path, new, new)
        assert path.read_bytes() == before
