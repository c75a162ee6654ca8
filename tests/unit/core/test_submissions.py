"""What a log sends to a witness: as specified, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.merkle import EMPTY_ROOT
from gateway.core.notes import Checkpoint, NoteError, Signer, sign
from gateway.core.submissions import Submission

NOTE = sign(Checkpoint("log.example/a", 0, EMPTY_ROOT).text(), Signer("log.example/a", bytes(32)))
HASH = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw="
BODY = f"old 7\n{HASH}\n{HASH}\n\n{NOTE}"


@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
)
def test_a_submission_and_back(old: int, proof: list[bytes]) -> None:
    submission = Submission(old, tuple(proof), NOTE)
    assert Submission.parse(submission.body()) == submission


def test_a_submission_is_written_as_specified() -> None:
    read = Submission.parse(BODY.encode())
    assert (read.old, len(read.proof), read.note) == (7, 2, NOTE)
    assert read.body().decode() == BODY


@given(st.binary())
def test_nothing_else_is_a_submission(body: bytes) -> None:
    with pytest.raises(NoteError):
        Submission.parse(body)


@pytest.mark.parametrize(
    "body",
    [
        NOTE,
        f"\n{NOTE}",
        BODY.replace("old 7\n", ""),
        BODY.replace("old 7", "old 07"),
        BODY.replace("old 7", "old -7"),
        BODY.replace("old 7", "old  7"),
        BODY.replace("old 7", "Old 7"),
        BODY.replace("old 7", "old"),
        BODY.replace("old 7", f"old {2**63}"),
        BODY.replace(HASH, HASH[:-1], 1),
        BODY.replace(HASH, HASH[4:], 1),
        BODY.replace(HASH, f"{HASH}\n" * 62 + HASH, 1),
        BODY.replace(f"\n\n{NOTE}", f"\n{NOTE}"),
        BODY.replace(f"\n\n{NOTE}", f"\n\n\n{NOTE}"),
        BODY.replace("\n", "\r\n"),
        BODY[:-1],
        BODY + "\n",
        BODY.replace("log.example/a\n0\n", "log.example/a\n00\n"),
    ],
)
def test_a_malformed_submission_is_refused(body: str) -> None:
    with pytest.raises(NoteError):
        Submission.parse(body.encode())


def test_what_is_no_checkpoint_cannot_be_submitted() -> None:
    with pytest.raises(NoteError):
        Submission(0, (), sign("just a text\n", Signer("log.example/a", bytes(32))))
