"""Records as lines in a file: appended, synced, put aside when it is large."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

from gateway.core.exports import Delivery


class FileSink:
    """Implements `Sink`. A line that a crash cut off is ended before the next one is written."""

    def __init__(self, path: Path, rotate_bytes: int) -> None:
        self._path = path
        self._rotate = rotate_bytes

    async def send(self, delivery: Delivery) -> None:
        await asyncio.to_thread(self._append, delivery)

    async def stop(self) -> None:
        """Nothing is kept open."""

    def _append(self, delivery: Delivery) -> None:
        text = b"".join(line + b"\n" for line in delivery.lines)
        handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                text = b"\n" + text
            _write(handle, text)
            os.fsync(handle)
            size += len(text)
        finally:
            os.close(handle)
        if size >= self._rotate:
            self._put_aside(delivery.end)
        self._sync_folder()

    def _put_aside(self, end: int) -> None:
        """Rename the file; its last leaf and the time tell it from others."""
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        os.rename(self._path, self._path.with_name(f"{self._path.name}.{end:020d}.{moment}"))

    def _sync_folder(self) -> None:
        """A new name outlasts a power cut only when its folder was synced."""
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write(handle: int, text: bytes) -> None:
    """All of `text`: one call may write a part of it."""
    left = memoryview(text)
    while left:
        left = left[os.write(handle, left) :]
