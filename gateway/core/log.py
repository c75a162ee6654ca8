"""What can be asked of the log of all records, by anybody who may."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LogState:
    """How the log stands, as far as this process knows.

    `size` counts the entries in the log, `signed` those under the last checkpoint, `held` those
    under the last one that a witness has co-signed, `anchored` those under the last one that an
    anchor keeps, each with its time.
    """

    size: int = 0
    signed: int = 0
    signed_at: datetime | None = None
    held: int = 0
    held_at: datetime | None = None
    anchored: int = 0
    anchored_at: datetime | None = None
    problem: str | None = None
    """Why nothing is sequenced or signed; None while all is well."""


class LogView(Protocol):
    """The log, to read. Every method raises `Unavailable`."""

    @property
    def state(self) -> LogState: ...

    @property
    def vkey(self) -> str | None:
        """The key that checkpoints are signed with now, as `Verifier.decoded` reads it."""

    async def checkpoint(self) -> str | None:
        """The last signed note, with the witnesses' lines; None before the first."""

    async def proof(self, org: str, id: str) -> str | None:
        """That the log has an entry, as c2sp.org/tlog-proof writes it.

        `id` is an entry's id, the hex of its leaf hash, or an exchange's id, which stands for
        its terminal entry. None when `org` has none, or it is under no checkpoint yet.
        """

    async def consistency(self, old: int, new: int) -> list[bytes] | None:
        """That the log of `new` entries begins with those of `old`; None where it cannot."""

    async def tile(self, level: int, number: int, width: int) -> bytes | None:
        """`width` hashes of a tile of c2sp.org/tlog-tiles; None when there are not so many."""
