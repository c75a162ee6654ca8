"""Files that are there whole or not at all, for their owner only."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def add(path: Path, content: bytes) -> None:
    """Put a file where there is none; one that is there already stays. Durable on return."""
    fresh = written_beside(path, content)
    try:
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()
    _sync_folder(path.parent)


def replace(path: Path, fresh: Path) -> None:
    """Put `fresh`, which was written beside it, in the place of `path`. Durable on return."""
    os.replace(fresh, path)
    _sync_folder(path.parent)


def written_beside(path: Path, content: bytes) -> Path:
    """A durable file with `content` beside `path`."""
    fresh = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return fresh


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
