"""The erasure journal: which keys were destroyed, in a file outside of the database.

A line is durable before the keys are destroyed, and every start destroys again what a restored
backup may have brought back. A line names keys, never people.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

_MODE = 0o600


class Erased(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line: keys that were destroyed, and the exchanges that were erased as a whole."""

    at: str
    org: str
    of: str
    by: str
    keys: list[str]
    exchanges: list[str] = []


class ErasureFile:
    """The journal at `path`; made with the first line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Sequence[Erased]:
        """Every line; without a last one that was cut off, whose keys were not destroyed.

        Raises `ValueError` for any other line that is none, `OSError`.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        lines = content.split(b"\n")
        found: list[Erased] = []
        for number, line in enumerate(lines, start=1):
            if not line:
                continue
            try:
                found.append(msgspec.json.decode(line, type=Erased))
            except msgspec.DecodeError as error:
                if number < len(lines):
                    raise ValueError(
                        f"line {number} of the erasure journal {self.path} cannot be read: {error}"
                    ) from error
        return found

    def append(self, erased: Sequence[Erased]) -> None:
        """Add lines. Durable on return. Raises `OSError`."""
        if not erased:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not self.path.exists()
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, _MODE)
        try:
            self._end_cut_line(handle)
            _write(handle, b"".join(msgspec.json.encode(one) + b"\n" for one in erased))
            os.fsync(handle)
        finally:
            os.close(handle)
        if fresh:
            _sync(self.path.parent)

    @staticmethod
    def _end_cut_line(handle: int) -> None:
        """Take away a last line that a crash cut off, so that the next stands by itself."""
        size = os.fstat(handle).st_size
        content = os.pread(handle, size, 0)
        if content and not content.endswith(b"\n"):
            os.ftruncate(handle, content.rfind(b"\n") + 1)


def _write(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
