"""What is signed is remembered whole or not at all, and nothing is left lying about."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.unit.adapters.store.logs import ORIGIN, files_in


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_what_was_remembered_and_no_other_file(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_in(tmp_path)
    files.remember("the first")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        for _ in range(3):
            with pytest.raises(OSError, match="no space"):
                files.remember("the second")
    assert files.note() == "the first"
    assert list(tmp_path.iterdir()) == [files.state]


def test_the_key_that_was_made_first_counts_and_no_copy_of_another_stays(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    first = files.make_signer(ORIGIN)
    assert files.make_signer(ORIGIN).encoded() == first.encoded()
    assert list(tmp_path.iterdir()) == [files.key]
