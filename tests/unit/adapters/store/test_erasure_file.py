"""The erasure journal: lines that last, a cut one that does not count, nothing else believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.store.erasure_file import Erased, ErasureFile


def line(*keys: str) -> Erased:
    return Erased(at="2026-11-22", org="acme", of="subject", by="cli:x", keys=list(keys))


def test_what_was_added_is_read(tmp_path: Path) -> None:
    file = ErasureFile(tmp_path / "made" / "erasures.jsonl")
    assert file.read() == []
    file.append([])
    assert not file.path.exists()
    file.append([line("a")])
    file.append([line("b", "c"), line("d")])
    assert file.read() == [line("a"), line("b", "c"), line("d")]
    assert file.path.stat().st_mode & 0o777 == 0o600


@given(st.integers(1, 200))
def test_a_line_that_was_cut_off_does_not_count(tmp_path_factory: object, cut: int) -> None:
    folder = tmp_path_factory.mktemp("journal")  # type: ignore[attr-defined]
    file = ErasureFile(folder / "erasures.jsonl")
    file.append([line("a")])
    whole = file.path.read_bytes()
    file.path.write_bytes(whole + whole[: cut % len(whole)])
    assert file.read() in ([line("a")], [line("a"), line("a")])
    file.append([line("b")])
    assert file.read() == [line("a"), line("b")]


def test_anything_else_is_not_believed(tmp_path: Path) -> None:
    file = ErasureFile(tmp_path / "erasures.jsonl")
    file.append([line("a")])
    for nonsense in (b"{}\n", b"nonsense\n", b'{"keys": 7}\n'):
        file.path.write_bytes(file.path.read_bytes() + nonsense)
        with pytest.raises(ValueError, match="line 2"):
            file.read()
        file.path.write_bytes(file.path.read_bytes()[: -len(nonsense)])
