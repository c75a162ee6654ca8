"""A backup's folder: whole or refused, and its secrets under a passphrase."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.backup import DATABASE, MANIFEST, Backup, BackupError, LogHead, NewBackup


def made(folder: Path, passphrase: bytes | None = None) -> Path:
    new = NewBackup.at(folder, passphrase)
    new.add(DATABASE, b"rows " * 100)
    new.add("keyring.json", b"a secret", secret=True)
    new.add("log.key", b"another", secret=True)
    new.finish(
        made_at="now", database="sqlite", tables="0009", keyring="krg_1", log=LogHead(3, "00")
    )
    return folder


def test_what_was_put_in_comes_out(tmp_path: Path) -> None:
    backup = Backup.opened(made(tmp_path / "b"), None)
    assert backup.read("keyring.json") == b"a secret"
    assert backup.secrets("log.key") == {"log.key": b"another"}
    assert backup.read("erasures.jsonl") is None
    assert backup.manifest.log == LogHead(3, "00")


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    folder = made(tmp_path / "b")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_secrets_are_encrypted_under_a_passphrase(tmp_path: Path) -> None:
    folder = made(tmp_path / "b", b"open sesame")
    assert b"secret" not in (folder / "keyring.json").read_bytes()
    assert Backup.opened(folder, b"open sesame").read("keyring.json") == b"a secret"
    with pytest.raises(BackupError, match="--passphrase-file"):
        Backup.opened(folder, None)
    with pytest.raises(BackupError, match="not the backup's"):
        Backup.opened(folder, b"other").read("keyring.json")


@pytest.mark.parametrize("name", [DATABASE, "keyring.json"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    folder = made(tmp_path / "b")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(BackupError, match=f"{name} is not what was backed up"):
        Backup.opened(folder, None)


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path / "b")
    (folder / "log.key").unlink()
    with pytest.raises(BackupError, match=r"log\.key cannot be read"):
        Backup.opened(folder, None)


def test_secrets_cannot_be_swapped(tmp_path: Path) -> None:
    folder = made(tmp_path / "b", b"p")
    said = (folder / MANIFEST).read_text()
    names = ("keyring.json", "log.key")
    (folder / MANIFEST).write_text(
        said.replace(names[0], "swap").replace(names[1], names[0]).replace("swap", names[1])
    )
    one, other = (folder / name for name in names)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    with pytest.raises(BackupError):
        Backup.opened(folder, b"p").read("keyring.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [("{}", "cannot be read"), ("", "cannot be read"), (None, "no backup that was finished")],
)
def test_a_backup_that_was_not_finished_is_none(
    tmp_path: Path, text: str | None, said: str
) -> None:
    folder = made(tmp_path / "b")
    (folder / MANIFEST).unlink()
    if text is not None:
        (folder / MANIFEST).write_text(text)
    with pytest.raises(BackupError, match=said):
        Backup.opened(folder, None)


def test_no_manifest_names_a_file_elsewhere(tmp_path: Path) -> None:
    folder = made(tmp_path / "b")
    said = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(said.replace('"log.key"', '"../log.key"'))
    with pytest.raises(BackupError, match="no file of a backup"):
        Backup.opened(folder, None)


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is there already"):
        NewBackup.at(tmp_path, None)
