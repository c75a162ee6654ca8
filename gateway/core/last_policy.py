"""What was in force here last, for when nobody can be asked what is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.core.policies import Stop, Version


@dataclass(frozen=True, slots=True)
class LastPolicy:
    """The release that decided, whole, and the stops that stood."""

    release: str
    number: int
    """Of the rollout."""
    versions: Sequence[Version]
    stops: Sequence[Stop]
    written_at: datetime


class KeepsLast(Protocol):
    """A place on this host. Both block for as long as the disk does."""

    def read(self) -> LastPolicy | None:
        """What was kept; None when nothing was. Raises `ValueError` for what is not whole."""

    def write(self, last: LastPolicy) -> None:
        """Keep it in place of what was. Raises `OSError`."""
