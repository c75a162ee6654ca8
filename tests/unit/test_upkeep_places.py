"""Where a backup's keys go on a host that has keys: nothing of the host's is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.backup import BackupError
from gateway.adapters.keyring import Keyring, KeyringError, header_of
from gateway.adapters.store.erasure_file import Erased, ErasureFile
from gateway.adapters.store.log_files import LogFiles
from gateway.core.notes import Checkpoint, sign
from gateway.upkeep_places import KeyringPlace, LogPlace, log_keys, remember_erasures
from tests.fakes.seal import FakeSeal


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """What a backup has."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    return folder


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """The host."""
    folder = tmp_path / "ours"
    folder.mkdir()
    return folder


def keyring_in(folder: Path) -> Path:
    path = folder / "keyring.json"
    Keyring.open(path, None)
    return path


def restored(
    path: Path, content: bytes, *, force: bool = False, seal: FakeSeal | None = None
) -> Keyring:
    place = KeyringPlace(path, content, seal)
    place.check(force=force)
    place.put()
    return Keyring.open(path, None, seal)


def test_a_keyring_comes_to_an_empty_host(ours: Path, theirs: Path) -> None:
    wanted = keyring_in(theirs)
    found = restored(ours / "keyring.json", wanted.read_bytes())
    assert found == Keyring.open(wanted, None)
    assert [path.name for path in ours.iterdir()] == ["keyring.json"]


def test_a_sealed_keyring_comes_as_it_is(ours: Path, theirs: Path) -> None:
    seal, path = FakeSeal(), theirs / "keyring.json"
    wanted = Keyring.open(path, None, seal)
    assert restored(ours / "keyring.json", path.read_bytes(), seal=seal) == wanted
    assert (ours / "keyring.json").read_bytes() == path.read_bytes()


def test_one_in_the_clear_is_sealed_where_the_host_seals(ours: Path, theirs: Path) -> None:
    seal, content = FakeSeal(), keyring_in(theirs).read_bytes()
    found = restored(ours / "keyring.json", content, seal=seal)
    assert found == Keyring.open(theirs / "keyring.json", None)
    assert header_of((ours / "keyring.json").read_bytes()).seal == seal.name


def test_a_seal_that_does_not_open_it_changes_nothing(ours: Path, theirs: Path) -> None:
    seal, path = FakeSeal(), theirs / "keyring.json"
    Keyring.open(path, None, seal)
    for none in (None, FakeSeal("fake:other")):
        with pytest.raises(KeyringError, match=r"the backup's keyring: .*sealed by fake:seal"):
            restored(ours / "keyring.json", path.read_bytes(), seal=none)
    assert not list(ours.iterdir())


def test_the_hosts_own_stays_when_the_backup_was_sealed_otherwise(ours: Path, theirs: Path) -> None:
    old, new, path = FakeSeal("fake:old"), FakeSeal("fake:new"), ours / "keyring.json"
    made = Keyring.open(path, None, old)
    backup = path.read_bytes()
    Keyring.reseal(path, old, new)
    now = path.read_bytes()
    assert restored(path, backup, seal=new) == made
    assert path.read_bytes() == now
    new.down = True
    with pytest.raises(KeyringError, match="cannot be reached"):
        restored(path, backup, seal=new)


def test_newer_keys_win_on_either_side(ours: Path, theirs: Path) -> None:
    old = keyring_in(theirs).read_bytes()
    newer = Keyring.rotate(theirs / "keyring.json")
    new = (theirs / "keyring.json").read_bytes()
    assert restored(ours / "keyring.json", old).keks.keys() < newer.keks.keys()
    assert restored(ours / "keyring.json", new) == newer
    assert restored(ours / "keyring.json", old) == newer


def test_keyrings_that_grew_apart_are_refused(ours: Path, theirs: Path) -> None:
    old = keyring_in(theirs).read_bytes()
    restored(ours / "keyring.json", old)
    for folder in (ours, theirs):
        Keyring.rotate(folder / "keyring.json")
    with pytest.raises(BackupError, match="different keys"):
        restored(ours / "keyring.json", (theirs / "keyring.json").read_bytes(), force=True)


def test_another_keyring_is_put_aside_only_by_force(ours: Path, theirs: Path) -> None:
    mine, wanted = keyring_in(ours), keyring_in(theirs)
    before = mine.read_bytes()
    with pytest.raises(BackupError, match="--force"):
        restored(mine, wanted.read_bytes())
    assert restored(mine, wanted.read_bytes(), force=True).id == Keyring.open(wanted, None).id
    (aside,) = ours.glob("keyring.json.before-*")
    assert aside.read_bytes() == before


def log_in(folder: Path, size: int, name: str = "log.example/1") -> LogFiles:
    files = LogFiles(folder / "log.key", folder / "log.state")
    signer = files.make_signer(name)
    files.remember(sign(Checkpoint(name, size, bytes(32)).text(), signer))
    return files


def placed(files: LogFiles, theirs: Path, *, force: bool = False) -> None:
    keys = {path.name: path.read_bytes() for path in log_keys(theirs / "log.key")}
    place = LogPlace(files, keys, (theirs / "log.state").read_bytes())
    place.check(force=force)
    place.put()


def test_a_logs_key_and_state_come_to_an_empty_host(ours: Path, theirs: Path) -> None:
    wanted = log_in(theirs, 3)
    files = LogFiles(ours / "log.key", ours / "log.state")
    placed(files, theirs)
    signer = files.signer()
    assert signer is not None
    assert signer.encoded() == (theirs / "log.key").read_text().strip()
    last = files.last_signed(signer.verifier)
    assert last is not None
    assert last.size == 3
    assert wanted.note() == files.note()


def test_what_the_host_signed_is_not_forgotten(ours: Path, theirs: Path) -> None:
    log_in(theirs, 3)
    files = LogFiles(ours / "log.key", ours / "log.state")
    placed(files, theirs)
    signer = files.signer()
    assert signer is not None
    files.remember(sign(Checkpoint(signer.name, 9, bytes(32)).text(), signer))
    placed(files, theirs, force=True)
    last = files.last_signed(signer.verifier)
    assert last is not None
    assert last.size == 9


def test_a_log_that_went_on_under_another_key_keeps_it(ours: Path, theirs: Path) -> None:
    log_in(theirs, 3)
    files = LogFiles(ours / "log.key", ours / "log.state")
    placed(files, theirs)
    files.retire_signer()
    fresh = files.make_signer("log.example/1.restored-1")
    placed(files, theirs)
    signer = files.signer()
    assert signer is not None
    assert signer.encoded() == fresh.encoded()
    assert len(log_keys(files.key)) == 2


def test_the_key_of_another_log_is_put_aside_only_by_force(ours: Path, theirs: Path) -> None:
    log_in(theirs, 3)
    files = log_in(ours, 5, "other.example/1")
    with pytest.raises(BackupError, match="another log"):
        placed(files, theirs)
    placed(files, theirs, force=True)
    signer = files.signer()
    assert signer is not None
    assert signer.name == "log.example/1"
    assert len(list(ours.glob("*.before-*"))) == 2


def line(key: str) -> Erased:
    return Erased(at="now", org="acme", of="subject", by="ann", keys=[key])


def test_erasures_are_joined(ours: Path, theirs: Path) -> None:
    file, other = ErasureFile(ours / "e.jsonl"), ErasureFile(theirs / "e.jsonl")
    file.append([line("k1"), line("k2")])
    other.append([line("k2"), line("k3")])
    for _ in range(2):
        remember_erasures(file, other.path.read_bytes())
        assert [one.keys for one in file.read()] == [["k1"], ["k2"], ["k3"]]
    remember_erasures(file, None)
    assert len(file.read()) == 3
