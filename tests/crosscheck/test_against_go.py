"""Trees, proofs, notes and cosignatures: Go's own implementations and ours, both ways."""

from __future__ import annotations

import base64
import string
from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofError,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from gateway.core.notes import (
    Checkpoint,
    CoSigner,
    NoteError,
    Opened,
    Proof,
    Signer,
    Verifier,
    add,
    cosign,
    opened,
    sign,
)
from tests.crosscheck.conftest import Go, read

MOST = 20_000
LOG = Signer("log.example/a", bytes(32))
WITNESS = CoSigner("witness.example/w1", b"w" * 32)
NAMES = st.text(string.ascii_letters + string.digits + "./-é漢", min_size=1, max_size=20)
TEXTS = st.text(
    st.one_of(st.just("\n"), st.characters(exclude_categories=["Cs"], min_codepoint=32))
).map(lambda text: f"{text}\n")
SLOW = settings(deadline=None, max_examples=60)


class Grown:
    """The log whose entries are the decimals, as far as anybody asked."""

    def __init__(self) -> None:
        self.rows: dict[int, list[bytes]] = {0: []}
        frontier = Frontier()
        for index in range(MOST):
            leaf = leaf_hash(str(index).encode())
            self.rows[0].append(leaf)
            for height, _, node in frontier.append(leaf):
                self.rows.setdefault(height, []).append(node)

    def nodes(self, height: int, start: int, count: int) -> Sequence[bytes]:
        return self.rows[height][start : start + count]


@pytest.fixture(scope="module")
def grown() -> Grown:
    return Grown()


@SLOW
@given(st.integers(1, MOST) | st.integers(1, 300), st.data())
def test_we_make_the_trees_and_proofs_of_go(
    go: Go, grown: Grown, size: int, data: st.DataObject
) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    told = go.do("prove", size=size, index=index, old=old)
    assert not told["error"]
    [root] = read([told["root"]])
    assert root_at(grown, size) == root
    assert inclusion_proof(grown, index, size) == read(told["inclusion"])
    assert consistency_proof(grown, old, size) == read(told["growth"])


@SLOW
@given(st.integers(1, MOST) | st.integers(1, 300), st.data())
def test_go_accepts_our_proofs(go: Go, grown: Grown, size: int, data: st.DataObject) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    root, leaf = root_at(grown, size), grown.rows[0][index]
    proof = inclusion_proof(grown, index, size)
    told = go.do("check inclusion", size=size, root=root, index=index, leaf=leaf, proof=proof)
    assert not told["error"]
    was, steps = root_at(grown, old), consistency_proof(grown, old, size)
    told = go.do("check growth", size=size, root=root, old=old, was=was, proof=steps)
    assert not told["error"]


def accepted(check: Callable[[], None]) -> bool:
    try:
        check()
    except ProofError:
        return False
    return True


def test_go_and_we_judge_any_proof_alike(go: Go, grown: Grown) -> None:
    """True ones, spoiled ones, and those of other sizes and indices than they are told of."""
    random, agreed = Random(6962), [0, 0]
    for _ in range(2_000):
        size, other = (random.choice([random.randint(1, 40), random.randint(1, MOST)])
                       for _ in "ab")  # fmt: skip
        index, old = random.randrange(size), random.randint(1, size)
        leaf, root = grown.rows[0][index], root_at(grown, size)
        proof = inclusion_proof(grown, index, size)
        steps = consistency_proof(grown, old, size)
        was = root_at(grown, old)
        match random.randrange(5):
            case 0 if proof and steps:
                proof.pop(random.randrange(len(proof)))
                steps.pop(random.randrange(len(steps)))
            case 1:
                proof.insert(random.randint(0, len(proof)), random.randbytes(32))
                steps.insert(random.randint(0, len(steps)), random.randbytes(32))
            case 2:
                size = other
            case 3:
                index, old = random.randrange(other), random.randint(1, other)
        ours = accepted(lambda: verify_inclusion(leaf, index, size, proof, root))  # noqa: B023
        told = go.do("check inclusion", size=size, root=root, index=index, leaf=leaf, proof=proof)
        assert ours == (not told["error"])
        agreed[ours] += 1
        ours = accepted(lambda: verify_consistency(old, was, size, root, steps))  # noqa: B023
        told = go.do("check growth", size=size, root=root, old=old, was=was, proof=steps)
        assert ours == (not told["error"])
        agreed[ours] += 1
    assert min(agreed) > 400  # both verdicts were compared


def test_an_empty_log_is_the_same(go: Go) -> None:
    assert read([go.do("prove", size=0)["root"]]) == [EMPTY_ROOT]


@SLOW
@given(TEXTS, st.lists(NAMES, min_size=1, max_size=4, unique=True))
def test_we_open_what_go_signs(go: Go, text: str, names: list[str]) -> None:
    made = [go.do("generate", name=name) for name in names]
    told = go.do("sign", text=text, keys=[each["private"] for each in made])
    assert not told["error"]
    known = [Verifier.decoded(each["public"]) for each in made]
    found = opened(told["text"], known)
    assert (found.text, found.verified) == (text, tuple(names))
    ours = [Signer.decoded(each["private"]) for each in made]
    assert [each.encoded() for each in ours] == [each["private"] for each in made]
    assert sign(text, *ours) == told["text"]


@SLOW
@given(TEXTS, st.lists(NAMES, min_size=1, max_size=4, unique=True))
def test_go_opens_what_we_sign(go: Go, text: str, names: list[str]) -> None:
    signers = [Signer.generate(name) for name in names]
    unknown = Signer.generate("unknown").signature(text)
    note = add(sign(text, *signers), unknown)
    keys = [signer.verifier.encoded() for signer in signers]
    told = go.do("open", text=note, keys=keys)
    assert not told["error"]
    assert (told["text"], told["verified"], told["unverified"]) == (text, names, 1)
    again = go.do("sign", text=text, keys=[signer.encoded() for signer in signers])
    assert note == again["text"] + unknown


def opened_or_not(note: str) -> Opened | str:
    try:
        return opened(note, [LOG.verifier])
    except NoteError as error:
        return "another form" if "another form" in str(error) else str(error)


def test_go_and_we_judge_any_note_alike(go: Go) -> None:
    """A note with changes anywhere: in its text, its names, its lines, its base64."""
    random, agreed = Random(2019), [0, 0]
    text = Checkpoint(LOG.name, 7, bytes(32)).text()
    unknown = "".join(Signer.generate(f"other{n}").signature(text) for n in range(2))
    note = sign(text, LOG) + unknown
    keys = [LOG.verifier.encoded()]
    letters = [*"\n\n\n— +=/A\t\r\x7f\u00a0", "\n\n", "— a AAAAAAA=\n"]
    for _ in range(3_000):
        changed = note
        for _ in range(random.randint(0, 2)):
            place = random.randrange(len(changed))
            gone = random.randint(0, 2)
            changed = changed[:place] + random.choice(letters) + changed[place + gone :]
        told = go.do("open", text=changed, keys=keys)
        found = opened_or_not(changed)
        if found == "another form":  # Go reads base64 in other forms than the standard one
            continue
        agreed[isinstance(found, Opened)] += 1
        assert isinstance(found, Opened) == (not told["error"]), (changed, found)
        if isinstance(found, Opened):
            assert (found.text, len(found.unverified)) == (told["text"], told["unverified"])
    assert min(agreed) > 400  # both verdicts were compared


@SLOW
@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_go_opens_what_we_cosign(go: Go, size: int, time: int, root: bytes) -> None:
    text = Checkpoint(LOG.name, size, root).text()
    note = sign(text, LOG)
    note = add(note, cosign(note, WITNESS, time))
    keys = [LOG.verifier.encoded(), WITNESS.verifier.encoded()]
    told = go.do("open", text=note, keys=keys)
    assert not told["error"]
    assert (told["text"], told["verified"]) == (text, [LOG.name, WITNESS.name])
    false = Verifier(WITNESS.name, LOG.verifier.key, WITNESS.verifier.algorithm)
    assert go.do("open", text=note, keys=[false.encoded()])["error"]


def test_we_open_what_go_cosigns(go: Go) -> None:
    text = Checkpoint(LOG.name, 3, bytes(32), ("an extension",)).text()
    told = go.do("sign", text=text, keys=[LOG.encoded(), WITNESS.encoded()])
    assert not told["error"]
    found = opened(told["text"], [LOG.verifier, WITNESS.verifier])
    assert (found.text, found.verified) == (text, (LOG.name, WITNESS.name))


@SLOW
@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.none() | st.binary(min_size=1),
)
def test_proofs_are_read_and_written_alike(
    go: Go, index: int, hashes: list[bytes], extra: bytes | None
) -> None:
    note = sign(Checkpoint(LOG.name, 3, bytes(32)).text(), LOG)
    ours = Proof(index, tuple(hashes), note, extra)
    told = go.do("write proof", index=index, proof=hashes, text=note, extra=extra)
    assert told["text"] == ours.text()
    assert Proof.parse(told["text"]) == ours
    told = go.do("read proof", text=ours.text())
    assert not told["error"]
    assert (told["index"], told["text"]) == (index, note)
    assert read(told["inclusion"]) == hashes
    assert told["extra"] == (None if extra is None else base64.b64encode(extra).decode())
