"""What a log sends to a witness: the body of `add-checkpoint` of c2sp.org/tlog-witness."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.note_keys import NoteError, to_base64
from gateway.core.notes import MOST_HASHES, checkpoint_of, decimal, hash_of

SIZE_TYPE = "text/x.tlog.size"
"""The media type of what a witness answers with 409: the size that it knows."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint, and the proof that its log begins with what it had at the size `old`.

    `note` is the checkpoint as the log signed it. Raises `NoteError` when it is none.
    """

    old: int
    proof: tuple[bytes, ...]
    note: str

    def __post_init__(self) -> None:
        checkpoint_of(self.note)

    @classmethod
    def parse(cls, body: bytes) -> Submission:
        """The submission of a request. Raises `NoteError` unless it is exactly one."""
        try:
            head, empty, note = body.decode().partition("\n\n")
        except UnicodeDecodeError:
            raise NoteError("the request is not UTF-8") from None
        first, *lines = head.split("\n")
        if not empty or not first.startswith("old "):
            raise NoteError("the request has no old size, or no empty line")
        if len(lines) > MOST_HASHES:
            raise NoteError(f"the request has more than {MOST_HASHES} hashes")
        old = decimal(first.removeprefix("old "))
        return cls(old, tuple(hash_of(line) for line in lines), note)

    def body(self) -> bytes:
        """The request."""
        lines = (f"old {self.old}", *map(to_base64, self.proof))
        return ("".join(f"{line}\n" for line in lines) + f"\n{self.note}").encode()
