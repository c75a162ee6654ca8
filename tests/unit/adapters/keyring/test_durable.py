"""Files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

from gateway.adapters.keyring.durable import add, replace, written_beside


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    add(path, b"first")
    add(path, b"second")
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    add(path, b"first")
    fresh = written_beside(path, b"second")
    assert path.read_bytes() == b"first"
    assert fresh.stat().st_mode & 0o777 == 0o600
    replace(path, fresh)
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]
