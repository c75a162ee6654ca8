"""A log that grows, or forks, for the tests of witnesses."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.merkle import Frontier, consistency_proof, leaf_hash, root_at
from gateway.core.notes import Checkpoint, CoSigner, Signer, sign
from gateway.core.submissions import Submission

LOG = Signer("log.example/a", b"l" * 32)
WITNESS = CoSigner("witness.example/w1", b"w" * 32)
NOW = 1_700_000_000


class GrownLog:
    """The log of `signer` with `size` entries; another `history` is one that it hides."""

    def __init__(self, size: int = 600, history: str = "", signer: Signer = LOG) -> None:
        self.signer = signer
        self._rows: dict[int, list[bytes]] = {0: []}
        frontier = Frontier()
        for index in range(size):
            leaf = leaf_hash(f"{history}{index}".encode())
            self._rows[0].append(leaf)
            for height, _, node in frontier.append(leaf):
                self._rows.setdefault(height, []).append(node)

    def nodes(self, height: int, start: int, count: int) -> Sequence[bytes]:
        return self._rows[height][start : start + count]

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(self.signer.name, size, root_at(self, size))

    def note(self, size: int) -> str:
        return sign(self.checkpoint(size).text(), self.signer)

    def proof(self, old: int, size: int) -> list[bytes]:
        return consistency_proof(self, old, size)

    def request(self, old: int, size: int) -> bytes:
        return Submission(old, tuple(self.proof(old, size)), self.note(size)).body()
