"""The file in which a gateway keeps the policy that it decided by last.

The first line is the SHA-256 of the rest, which is JSON: a file that was cut or changed is not
believed. It is written beside its place and moved there, so there is always a whole one.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from gateway.core.last_policy import LastPolicy

_KEPT = msgspec.json.Decoder(LastPolicy)


class PolicyFile:
    """Implements `KeepsLast` at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> LastPolicy | None:
        """What was kept; None when nothing was. Raises `ValueError` for what is not whole."""
        try:
            digest, _, body = self._path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ValueError(f"{self._path} cannot be read: {error.strerror}") from error
        if digest != _digest(body):
            raise ValueError(f"{self._path} is not as it was written")
        try:
            return _KEPT.decode(body)
        except msgspec.DecodeError as error:
            raise ValueError(f"{self._path} was written by another version: {error}") from error

    def write(self, last: LastPolicy) -> None:
        """Keep it in place of what was. Raises `OSError`."""
        body = msgspec.json.encode(last)
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            with beside.open("wb") as file:
                file.write(_digest(body) + b"\n" + body)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        finally:
            beside.unlink(missing_ok=True)


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
