"""A witness: every answer of c2sp.org/tlog-witness, and never two histories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.core.merkle import EMPTY_ROOT
from gateway.core.notes import (
    Checkpoint,
    NoteError,
    Signer,
    add,
    checkpoint_of,
    opened,
    sign,
)
from gateway.core.submissions import Submission
from gateway.governance.witness import Answer, Witness
from tests.witnessing import LOG, NOW, WITNESS, GrownLog

TRUE, FALSE = GrownLog(), GrownLog(history="another ")


class Book:
    """What is remembered of one log, in this process."""

    def __init__(self) -> None:
        self.note: str | None = None
        self.accused: list[str] = []
        self.held = False

    def latest(self) -> str | None:
        assert self.held
        return self.note

    def keep(self, note: str) -> None:
        assert self.held
        self.note = note

    def accuse(self, note: str) -> None:
        assert self.held
        self.accused.append(note)


class Shelf:
    """What is remembered of all logs, in this process."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}

    @contextmanager
    def holding(self, origin: str) -> Iterator[Book]:
        book = self.books.setdefault(origin, Book())
        assert not book.held
        book.held = True
        try:
            yield book
        finally:
            book.held = False


class Told:
    """A witness of one log, and what it was told and answers."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.witness = Witness(WITNESS, [LOG.verifier], self.shelf, lambda: NOW + 0.9)

    def add(self, old: int, size: int, log: GrownLog = TRUE) -> Answer:
        return self.witness.add_checkpoint(log.request(old, size))

    def send(self, old: int, proof: Sequence[bytes], note: str) -> Answer:
        return self.witness.add_checkpoint(Submission(old, tuple(proof), note).body())

    @property
    def size(self) -> int | None:
        note = self.shelf.books[LOG.name].note
        return None if note is None else checkpoint_of(note).size


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_log_that_grows_is_signed(told: Told) -> None:
    for old, size in ((0, 3), (3, 4), (4, 4), (4, 256), (256, 600)):
        answer = told.add(old, size)
        assert answer.status == 200
        assert answer.media_type.startswith("text/plain")
        note = add(TRUE.note(size), answer.body)
        assert opened(note, [WITNESS.verifier]).verified == (WITNESS.name,)
        assert answer.body == WITNESS.signature(TRUE.checkpoint(size).text(), NOW)
        assert told.shelf.books[LOG.name].note == TRUE.note(size)


def test_another_old_size_is_told_the_known_one(told: Told) -> None:
    assert told.add(5, 7) == Answer(409, "0\n", "text/x.tlog.size")
    told.add(0, 5)
    for old, size in ((0, 7), (4, 7), (6, 7), (0, 5), (3, 4), (4, 4)):
        assert told.add(old, size) == Answer(409, "5\n", "text/x.tlog.size")
    assert told.size == 5


def test_a_proof_that_does_not_hold_is_refused(told: Told) -> None:
    told.add(0, 5)
    right = TRUE.proof(5, 9)
    for proof in ([], right[:-1], [*right, bytes(32)], right[::-1], FALSE.proof(5, 9)):
        assert told.send(5, proof, TRUE.note(9)).status == 422
    assert told.send(5, right, FALSE.note(9)).status == 422
    assert told.add(5, 9, FALSE).status == 422
    assert told.send(5, [bytes(32)], TRUE.note(5)).status == 422
    assert told.size == 5


def test_a_first_checkpoint_needs_no_proof(told: Told) -> None:
    assert told.send(0, [bytes(32)], TRUE.note(9)).status == 422
    assert told.send(0, [], TRUE.note(9)).status == 200


def test_a_second_history_is_refused_and_kept_as_evidence(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    told.add(0, 5)
    for old in (5, 0, 3):
        assert told.add(old, 5, FALSE) == Answer(409, "5\n", "text/x.tlog.size")
    book = told.shelf.books[LOG.name]
    assert book.note == TRUE.note(5)
    assert book.accused == [FALSE.note(5)] * 3
    assert "two histories: log.example/a" in caplog.text


def test_an_empty_log_has_one_root(told: Told) -> None:
    false = sign(Checkpoint(LOG.name, 0, bytes(32)).text(), LOG)
    assert told.send(0, [], false).status == 409
    assert told.send(0, [], sign(Checkpoint(LOG.name, 0, EMPTY_ROOT).text(), LOG)).status == 200
    assert told.add(0, 3).status == 200


def test_an_old_size_after_the_checkpoint_is_malformed(told: Told) -> None:
    told.add(0, 5)
    assert told.send(6, [], TRUE.note(5)).status == 400


@pytest.mark.parametrize("body", [b"", b"\xff", b"old 0\n\n", b"old 0\n\nlog.example/a\n1\nx\n"])
def test_what_is_malformed_is_told_so(told: Told, body: bytes) -> None:
    assert told.witness.add_checkpoint(body).status == 400


def test_an_unknown_log_is_told_so(told: Told) -> None:
    other = GrownLog(3, signer=Signer("log.example/b", b"l" * 32))
    assert told.add(0, 3, other).status == 404
    assert not told.shelf.books


def test_only_the_logs_key_counts(told: Told) -> None:
    impostor = GrownLog(3, signer=Signer(LOG.name, b"x" * 32))
    assert told.add(0, 3, impostor).status == 403
    text = TRUE.checkpoint(3).text()
    false = LOG.signature("something else\n")
    assert told.send(0, [], f"{text}\n{false}").status == 403
    elsewhere = sign(Checkpoint(LOG.name, 3, bytes(32)).text(), Signer("log.example/b", b"l" * 32))
    assert told.send(0, [], elsewhere).status == 403
    assert not told.shelf.books


def test_signatures_of_others_are_ignored(told: Told) -> None:
    others = Signer("other.example", b"o" * 32).signature("whatever\n")
    assert told.send(0, [], TRUE.note(3) + others).status == 200


def test_a_log_may_have_two_keys() -> None:
    fresh = Signer(LOG.name, b"n" * 32)
    witness = Witness(WITNESS, [LOG.verifier, fresh.verifier], Shelf(), lambda: NOW)
    later = GrownLog(signer=fresh)
    assert witness.add_checkpoint(TRUE.request(0, 5)).status == 200
    assert witness.add_checkpoint(later.request(5, 9)).status == 200


def test_extensions_are_signed_with_the_rest(told: Told) -> None:
    checkpoint = Checkpoint(LOG.name, 3, TRUE.checkpoint(3).root, ("an extension",))
    answer = told.send(0, [], sign(checkpoint.text(), LOG))
    assert answer.body == WITNESS.signature(checkpoint.text(), NOW)


def test_a_witness_is_no_log() -> None:
    with pytest.raises(NoteError, match="not a log's"):
        Witness(WITNESS, [WITNESS.verifier], Shelf())


class Forgetful(Shelf):
    """Cannot keep anything."""

    @contextmanager
    def holding(self, origin: str) -> Iterator[Book]:
        with super().holding(origin) as book:
            book.keep = self.full  # type: ignore[method-assign]
            yield book

    def full(self, note: str) -> None:
        raise OSError("no space left")


def test_what_cannot_be_remembered_is_not_signed() -> None:
    witness = Witness(WITNESS, [LOG.verifier], Forgetful(), lambda: NOW)
    with pytest.raises(OSError, match="no space left"):
        witness.add_checkpoint(TRUE.request(0, 3))


class OneHistory(RuleBasedStateMachine):
    """Whatever a log with two histories asks, what was signed belongs to one."""

    sizes = st.integers(1, 40)

    def __init__(self) -> None:
        super().__init__()
        self.told = Told()
        self.signed: list[Checkpoint] = []

    @rule(log=st.sampled_from([TRUE, FALSE]), prover=st.sampled_from([TRUE, FALSE]), sizes=sizes,
          more=st.integers(0, 40))  # fmt: skip
    def ask(self, log: GrownLog, prover: GrownLog, sizes: int, more: int) -> None:
        known = self.signed[-1].size if self.signed else 0
        old = known if sizes % 3 else sizes
        size = old + more
        answer = self.told.send(old, prover.proof(old, size), log.note(size))
        assert answer.status in {200, 409, 422}
        if answer.status == 200:
            self.signed.append(log.checkpoint(size))
            assert answer.body == WITNESS.signature(self.signed[-1].text(), NOW)

    @invariant()
    def one_history(self) -> None:
        sizes = [each.size for each in self.signed]
        assert sizes == sorted(sizes)
        roots = [each.root for each in self.signed if each.size]
        trues = [TRUE.checkpoint(each.size).root for each in self.signed if each.size]
        falses = [FALSE.checkpoint(each.size).root for each in self.signed if each.size]
        assert roots in (trues, falses)


OneHistory.TestCase.settings = settings(deadline=None, max_examples=40, stateful_step_count=20)
TestOneHistory = OneHistory.TestCase
