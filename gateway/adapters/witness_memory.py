"""What a witness remembers, in a folder: of each log the last checkpoint, in a file."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.core.note_keys import NoteError
from gateway.core.notes import checkpoint_of


class DamagedMemory(RuntimeError):
    """A file is not what was written; the witness cannot know what it has signed."""


class WitnessFiles:
    """The memory in `folder`, which is not made: one that is missing may not be mounted.

    Threads and processes of one host may share it. Raises `NotADirectoryError`.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} is not a folder")
        self._folder = folder

    @contextmanager
    def holding(self, origin: str) -> Iterator[LogFile]:
        """What is remembered of the log, locked against everybody else. Raises `OSError`."""
        file = LogFile(self._folder, origin)
        lock = os.open(file.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(lock)


class LogFile:
    """What is remembered of one log: its last checkpoint, as a note."""

    def __init__(self, folder: Path, origin: str) -> None:
        self._origin = origin
        name = hashlib.sha256(origin.encode()).hexdigest()  # an origin may hold anything
        self.path = folder / f"{name}.checkpoint"

    def latest(self) -> str | None:
        """The last checkpoint. None when there is none. Raises `DamagedMemory`, `OSError`."""
        try:
            note = self.path.read_bytes().decode()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise DamagedMemory(f"{self.path} is damaged") from error
        try:
            origin = checkpoint_of(note).origin
        except NoteError as error:
            raise DamagedMemory(f"{self.path} is damaged: {error}") from error
        if origin != self._origin:
            raise DamagedMemory(f"{self.path} is of another log: {origin}")
        return note

    def keep(self, note: str) -> None:
        """Write the checkpoint in place of the last; durable on return. Raises `OSError`."""
        fresh = self.path.with_suffix(".new")
        _write(fresh, note, os.O_TRUNC)
        fresh.replace(self.path)
        _sync_folder(self.path.parent)

    def accuse(self, note: str) -> None:
        """Write a checkpoint that contradicts the last beside it, the first time only."""
        with suppress(FileExistsError):
            _write(self.path.with_suffix(".contradiction"), note, os.O_EXCL)
            _sync_folder(self.path.parent)


def _write(path: Path, text: str, how: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
    with os.fdopen(file, "wb") as writing:
        writing.write(text.encode())
        writing.flush()
        os.fsync(writing.fileno())


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
