"""A witness: signs the checkpoints of logs that it has seen to grow, and never two histories.

The protocol is `add-checkpoint` of c2sp.org/tlog-witness. What makes a witness worth having is
that it is not the log's: another host, another account, another key.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.core.merkle import EMPTY_ROOT, ProofError, verify_consistency
from gateway.core.note_keys import Algorithm, CoSigner, NoteError, Verifier
from gateway.core.notes import Checkpoint, checkpoint_of, cosign, opened
from gateway.core.submissions import SIZE_TYPE, Submission

log = logging.getLogger("govgate.witness")

_TEXT = "text/plain; charset=utf-8"


class Held(Protocol):
    """What is remembered of one log, which nobody else reads or changes meanwhile."""

    def latest(self) -> str | None:
        """The last checkpoint that was kept, as a note. None when there never was one."""
        ...

    def keep(self, note: str) -> None:
        """Remember this checkpoint instead. It MUST be durable on return."""
        ...

    def accuse(self, note: str) -> None:
        """Put away a checkpoint that contradicts the latest, as evidence."""
        ...


class Memory(Protocol):
    """What a witness remembers. Losing it ends the witness: it must not be started again."""

    def holding(self, origin: str) -> AbstractContextManager[Held]:
        """What is remembered of a log, while nobody else has it, in any thread or process."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered over HTTP."""

    status: int
    body: str
    media_type: str = _TEXT


class _Refused(Exception):
    def __init__(self, status: int, body: str, media_type: str = _TEXT) -> None:
        super().__init__(body)
        self.answer = Answer(status, body, media_type)


class Witness:
    """Signs for `logs`, each known by its name, which is its origin, and one key or several.

    `now` says the time, in POSIX seconds. Raises `NoteError` when a key is not a log's.
    """

    def __init__(
        self,
        signer: CoSigner,
        logs: Iterable[Verifier],
        memory: Memory,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._signer = signer
        self._memory = memory
        self._now = now
        self._logs: dict[str, list[Verifier]] = {}
        for verifier in logs:
            if verifier.algorithm is not Algorithm.ED25519:
                raise NoteError(f"the key of {verifier.name} is a witness's, not a log's")
            self._logs.setdefault(verifier.name, []).append(verifier)

    def add_checkpoint(self, request: bytes) -> Answer:
        """Sign a checkpoint that continues what was signed before, or say why not.

        200 with the cosignature; 400 malformed; 403 not signed by the log; 404 unknown log;
        409 with the size that is known, when the request is about another, or when there are
        two histories; 422 a proof that does not hold. Raises what the memory raises, when
        nothing was signed.
        """
        try:
            submitted = self._authentic(request)
            checkpoint = checkpoint_of(submitted.note)
            # The time is taken and the line made while the log is held, so that no line of an
            # older size bears a later time.
            with self._memory.holding(checkpoint.origin) as held:
                self._check_growth(submitted, checkpoint, held)
                held.keep(submitted.note)
                return Answer(200, cosign(submitted.note, self._signer, int(self._now())))
        except _Refused as refused:
            return refused.answer

    def _authentic(self, request: bytes) -> Submission:
        """The request, when it is about a checkpoint that one of the logs has signed."""
        try:
            submitted = Submission.parse(request)
        except NoteError as error:
            raise _Refused(400, f"{error}\n") from None
        checkpoint = checkpoint_of(submitted.note)
        keys = self._logs.get(checkpoint.origin)
        if keys is None:
            raise _Refused(404, "this log is not known here\n")
        try:
            opened(submitted.note, keys)
        except NoteError as error:
            raise _Refused(403, f"{error}\n") from None
        if submitted.old > checkpoint.size:
            raise _Refused(400, "the old size is larger than the checkpoint's\n")
        return submitted

    def _check_growth(self, submitted: Submission, checkpoint: Checkpoint, held: Held) -> None:
        """Refuse unless the checkpoint continues the latest."""
        latest = held.latest()
        known = Checkpoint(checkpoint.origin, 0, EMPTY_ROOT)
        if latest is not None:
            known = checkpoint_of(latest)
        if checkpoint.size == known.size and checkpoint.root != known.root:
            held.accuse(submitted.note)
            log.critical("two histories: %s has signed two roots of size %d",
                         known.origin, known.size)  # fmt: skip
            raise _Refused(409, f"{known.size}\n", SIZE_TYPE)
        if submitted.old != known.size:
            raise _Refused(409, f"{known.size}\n", SIZE_TYPE)
        try:
            verify_consistency(
                known.size, known.root, checkpoint.size, checkpoint.root, submitted.proof
            )
        except ProofError as error:
            raise _Refused(422, f"{error}\n") from None
