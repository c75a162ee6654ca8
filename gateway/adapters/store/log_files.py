"""What of the log is kept outside the database: its key, and what it signed last.

Whoever can change the database can change neither, so that a database which was rolled back,
by hand or from a backup, is noticed before anything is signed over it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.core.note_keys import NoteError, Signer, Verifier
from gateway.core.notes import Checkpoint, opened

_TOO_OPEN = 0o027
"""Permissions that a key must not give: any to others, writing to its group."""


class LogKeyError(RuntimeError):
    """The log's key is missing, unreadable, too open, or another than the log was signed with."""


@dataclass(frozen=True, slots=True)
class LogFiles:
    """The paths of the private key and of the last signed note."""

    key: Path
    state: Path

    def signer(self) -> Signer | None:
        """The log's key; None where there is none yet. Raises `LogKeyError`."""
        try:
            with self.key.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode & 0o777
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LogKeyError(f"{self.key} cannot be read: {error.strerror}") from error
        if mode & _TOO_OPEN:
            raise LogKeyError(f"others may use the log's key {self.key} ({mode:o}): chmod 400")
        try:
            return Signer.decoded(content.decode().strip())
        except (NoteError, UnicodeDecodeError) as error:
            raise LogKeyError(f"the file {self.key} is not the key of a log") from error

    def make_signer(self, name: str) -> Signer:
        """A new key under `name`, durable; the one that another process made first counts.

        Raises `LogKeyError`.
        """
        try:
            signer = Signer.generate(name)
        except NoteError as error:
            raise LogKeyError(f"no log can be called {name!r}: {error}") from error
        self.key.parent.mkdir(parents=True, exist_ok=True)
        with (
            _written_beside(self.key, f"{signer.encoded()}\n", 0o400) as fresh,
            suppress(FileExistsError),
        ):
            os.link(fresh, self.key)
        _sync(self.key.parent)
        found = self.signer()
        if found is None:
            raise LogKeyError(f"{self.key} vanished")
        return found

    def retire_signer(self) -> None:
        """Put the key aside, under the name that it had: the log goes on under another."""
        signer = self.signer()
        if signer is not None:
            aside = self.key.with_name(f"{self.key.name}.{signer.verifier.key_id.hex()}")
            os.rename(self.key, aside)
            _sync(self.key.parent)

    def last_signed(self, verifier: Verifier) -> Checkpoint | None:
        """What was signed last with this key, here; None when nothing was.

        Raises `LogKeyError` when the file was tampered with.
        """
        try:
            note = self.note()
            return Checkpoint.parse(opened(note, [verifier]).text)
        except FileNotFoundError:
            return None
        except (NoteError, ValueError, KeyError, TypeError, OSError) as error:
            raise LogKeyError(
                f"{self.state} does not hold what {verifier.name} signed last: {error}"
            ) from error

    def note(self) -> str:
        """The note that was signed last, as it stands. Raises `OSError`, `ValueError`."""
        note = json.loads(self.state.read_text())["note"]
        if not isinstance(note, str):
            raise ValueError("no note")
        return note

    def remember(self, note: str) -> None:
        """Keep what is being signed. Durable on return."""
        with _written_beside(self.state, json.dumps({"note": note}) + "\n", 0o600) as fresh:
            os.replace(fresh, self.state)
        _sync(self.state.parent)

    def forget(self) -> None:
        """Forget what was signed last, once another key signs."""
        self.state.unlink(missing_ok=True)
        _sync(self.state.parent)


@contextmanager
def _written_beside(path: Path, content: str, mode: int) -> Iterator[Path]:
    """A durable file beside `path`, which is gone afterwards unless it was renamed.

    So a full disk, which is tried twice a second, is not filled with names.
    """
    fresh = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
