"""What somebody outside keeps of a log: its key, and every checkpoint they have seen."""

from __future__ import annotations

from gateway.adapters.store.log_files import LogFiles
from gateway.core.note_keys import Verifier
from gateway.core.notes import Checkpoint, opened
from gateway.verifier.verify import Trusted


class Kept:
    """Never two roots for one size, and never a log that shrinks, or the check fails."""

    def __init__(self, files: LogFiles) -> None:
        self._files = files
        self._roots: dict[int, bytes] = {}
        self._notes: dict[int, str] = {}

    @property
    def size(self) -> int:
        """The largest size that was seen signed."""
        return max(self._roots, default=0)

    def look(self) -> Trusted:
        """Keep what is signed now. What a verifier should believe."""
        signer = self._files.signer()
        assert signer is not None, "the log's key is gone"
        if self._files.state.exists():
            self.keep(self._files.note(), signer.verifier)
        return Trusted([signer.verifier], notes=list(self._notes.values()))

    def keep(self, note: str, verifier: Verifier) -> int:
        """Keep this note too; the size that it speaks of."""
        checkpoint = Checkpoint.parse(opened(note, [verifier]).text)
        size, root = checkpoint.size, checkpoint.root
        assert self._roots.setdefault(size, root) == root, f"two roots for {size} entries"
        self._notes[size] = note
        return size
