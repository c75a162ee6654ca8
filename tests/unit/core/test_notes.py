"""Signed notes, checkpoints, cosignatures and proofs: published ones, and malformed ones."""

from __future__ import annotations

import base64
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.merkle import Frontier, ProofError, leaf_hash, node_hash
from gateway.core.notes import (
    LONGEST_NOTE,
    MOST_SIGNATURES,
    Checkpoint,
    CoSigner,
    NoteError,
    Proof,
    Signer,
    Verifier,
    add,
    checkpoint_of,
    cosign,
    decimal,
    opened,
    sign,
)

SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
NEUMANN = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpR"
    "Zb6KE6RyyBwJnAM=\n"
)
ENOCH_VKEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
ENOCH = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33"
    "WWd1RvMc+QQ=\n"
)
"""The example of golang.org/x/mod/sumdb/note."""

PETER, ENOCH_ROOT = Verifier.decoded(VKEY), Verifier.decoded(ENOCH_VKEY)
NOTE = f"{TEXT}\n{NEUMANN}"
LOG = Signer("log.example/a", bytes(32))
WITNESS = CoSigner("witness.example/w1", b"w" * 32)
LEAVES = [leaf_hash(name) for name in (b"a", b"b", b"c")]
ROOT = node_hash(node_hash(LEAVES[0], LEAVES[1]), LEAVES[2])
CHECKPOINT = Checkpoint(LOG.name, 3, ROOT)
SIGNED = sign(CHECKPOINT.text(), LOG)

NAMES = st.text(string.ascii_letters + string.digits + "./-é漢", min_size=1)
TEXTS = st.text(
    st.one_of(st.just("\n"), st.characters(exclude_categories=["Cs"], min_codepoint=32))
).map(lambda text: f"{text}\n")


def in_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def test_the_published_note_is_signed() -> None:
    assert sign(TEXT, Signer.decoded(SKEY)) == NOTE


def test_the_published_note_is_opened() -> None:
    assert opened(NOTE, [PETER]).verified == ("PeterNeumann",)
    both = opened(NOTE + ENOCH, [PETER, ENOCH_ROOT])
    assert (both.text, both.verified, both.unverified) == (TEXT, ("PeterNeumann", "EnochRoot"), ())
    one = opened(NOTE + ENOCH, [ENOCH_ROOT])
    assert (one.verified, one.unverified) == (("EnochRoot",), (NEUMANN,))


@given(TEXTS, st.lists(NAMES, min_size=1, max_size=5, unique=True))
def test_what_is_signed_is_opened(text: str, names: list[str]) -> None:
    signers = [Signer.generate(name) for name in names]
    note = sign(text, *signers)
    found = opened(note, [signer.verifier for signer in signers])
    assert (found.text, found.verified, found.unverified) == (text, tuple(names), ())
    for signer in signers:
        assert Signer.decoded(signer.encoded()).verifier == signer.verifier
        assert Verifier.decoded(signer.verifier.encoded()) == signer.verifier


@given(st.data())
def test_a_changed_note_is_not_opened(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(NOTE) - 1))
    other = data.draw(st.characters(exclude_categories=["Cs"]).filter(lambda c: c != NOTE[place]))
    with pytest.raises(NoteError):
        opened(NOTE[:place] + other + NOTE[place + 1 :], [PETER])


@given(st.text())
def test_nothing_else_is_a_note(text: str) -> None:
    with pytest.raises(NoteError):
        opened(text, [PETER])


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("", "an empty line"),
        (TEXT, "an empty line"),
        (f"{TEXT}\n", "an empty line"),
        (f"{TEXT}{NEUMANN}", "an empty line"),
        (NOTE[:-1], "an empty line"),
        (f"{NOTE}\n", "an empty line"),
        (f"\n{NEUMANN}", "an empty line"),
        (NOTE.replace("\n", "\r\n"), "control character"),
        (f"\t{NOTE}", "control character"),
        (f"\x00{NOTE}", "control character"),
        (f"\ud800{NOTE}", "UTF-8"),
        (NOTE.replace("— ", "- "), "signature line"),
        (NOTE.replace("— ", "—"), "signature line"),
        (NOTE.replace("— P", "—  P"), "name of a key"),
        (f"{NOTE}{NEUMANN} \n", "signature line"),
        (f"{NOTE}— \n", "signature line"),
        (f"{NOTE}— name\n", "signature line"),
        (f"{NOTE}— name \n", "too short"),
        (f"{NOTE}— na+me AAAAAAA=\n", "name of a key"),
        (f"{NOTE}— na\u2003me AAAAAAA=\n", "name of a key"),
        (f"{NOTE}— name AAAA AAA=\n", "not base64"),
        (f"{NOTE}— name AAAAAAA\n", "not base64"),
        (f"{NOTE}— name AAAAAAB=\n", "another form"),
        (f"{NOTE}— name AAAAAA==\n", "too short"),
        (f"{NOTE}— name ÄAAAAAA=\n", "not base64"),
        ("x" * LONGEST_NOTE + NOTE, "bytes"),
        (NOTE + NEUMANN * MOST_SIGNATURES, "signatures"),
    ],
)
def test_a_malformed_note_is_refused(note: str, said: str) -> None:
    with pytest.raises(NoteError, match=said):
        opened(note, [PETER])


def test_a_hundred_signatures_are_read() -> None:
    unknown = [f"— name{n} AAAAAAA=\n" for n in range(MOST_SIGNATURES - 1)]
    assert opened(NOTE + "".join(unknown), [PETER]).unverified == tuple(unknown)


def test_what_is_repeated_counts_once() -> None:
    found = opened(NOTE + NEUMANN + ENOCH + ENOCH, [PETER, PETER])
    assert (found.verified, found.unverified) == (("PeterNeumann",), (ENOCH,))


def test_unknown_keys_say_nothing() -> None:
    same_name = Signer.generate("PeterNeumann")
    note = add(NOTE, same_name.signature("something else\n"))
    assert opened(note, [PETER]).verified == ("PeterNeumann",)
    with pytest.raises(NoteError, match="nobody that is known"):
        opened(NOTE, [ENOCH_ROOT])
    with pytest.raises(NoteError, match="nobody that is known"):
        opened(NOTE, [])


@pytest.mark.parametrize("first", [True, False])
def test_a_false_signature_of_a_known_key_spoils_the_note(first: bool) -> None:
    false = Signer.decoded(SKEY).signature("something else\n")
    lines = [false, ENOCH] if first else [ENOCH, NEUMANN, false]
    with pytest.raises(NoteError, match="in the name of PeterNeumann"):
        opened(f"{TEXT}\n{''.join(lines)}", [PETER, ENOCH_ROOT])


def test_two_keys_that_cannot_be_told_apart_are_refused() -> None:
    class Colliding(Verifier):
        key_id = PETER.key_id  # type: ignore[assignment]

    other = Colliding("PeterNeumann", ENOCH_ROOT.key)
    with pytest.raises(NoteError, match="two keys"):
        opened(NOTE, [PETER, other])


@pytest.mark.parametrize(
    "text", ["", "no newline", "a\rb\n", "\ud800\n", "x" * LONGEST_NOTE + "\n"]
)
def test_what_is_no_text_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        sign(text, LOG)


def test_somebody_signs() -> None:
    with pytest.raises(NoteError, match="nobody signs"):
        sign(TEXT)


def test_a_signature_is_added_once() -> None:
    assert add(NOTE, ENOCH) == NOTE + ENOCH
    assert add(NOTE + ENOCH, ENOCH) == NOTE + ENOCH
    assert add(NOTE, NEUMANN + ENOCH) == NOTE + ENOCH


@pytest.mark.parametrize("line", ["", "\n", ENOCH[:-1], f"more text\n\n{ENOCH}", f"\n{ENOCH}"])
def test_what_is_no_signature_is_not_added(line: str) -> None:
    with pytest.raises(NoteError):
        add(NOTE, line)


SIZES = st.integers(0, 2**63 - 1)
LINES = st.text(st.characters(exclude_categories=["Cs"], min_codepoint=32), min_size=1)


@given(LINES, SIZES, st.binary(min_size=32, max_size=32), st.lists(LINES))
def test_a_checkpoint_and_back(origin: str, size: int, root: bytes, extensions: list[str]) -> None:
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    assert Checkpoint.parse(checkpoint.text()) == checkpoint


BEHIND = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


def test_the_published_checkpoint() -> None:
    found = Checkpoint.parse(BEHIND)
    assert (found.origin, found.size, found.extensions) == (
        "example.com/behind-the-sofa", 20852163, ()
    )  # fmt: skip
    assert found.root.hex().startswith("0ac5186a")
    assert found.text() == BEHIND


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n1\n",
        BEHIND[:-1],
        BEHIND + "\n",
        BEHIND + "extension\n\n",
        BEHIND + "\nextension\n",
        BEHIND.replace("example.com/behind-the-sofa", ""),
        BEHIND.replace("20852163", "020852163"),
        BEHIND.replace("20852163", "+20852163"),
        BEHIND.replace("20852163", "20_852_163"),
        BEHIND.replace("20852163", " 20852163"),
        BEHIND.replace("20852163", "-1"),
        BEHIND.replace("20852163", "00"),
        BEHIND.replace("20852163", ""),
        BEHIND.replace("20852163", "２"),
        BEHIND.replace("20852163", str(2**63)),
        BEHIND.replace("q2I=", "q2J="),
        BEHIND.replace("q2I=", "q2I"),
        BEHIND.replace("CsUY", ""),
        BEHIND.replace("\n", "\r\n"),
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "members",
    [("", 1, ROOT), ("a\nb", 1, ROOT), ("a", -1, ROOT), ("a", 2**63, ROOT), ("a", 1, b"short"),
     ("a", 1, ROOT, ("",)), ("a", 1, ROOT, ("b\n",)), ("a\t", 1, ROOT)],
)  # fmt: skip
def test_what_cannot_be_written_is_no_checkpoint(members: tuple[Any, ...]) -> None:
    with pytest.raises(NoteError):
        Checkpoint(*members)


@given(st.text())
def test_a_number_has_one_form(text: str) -> None:
    try:
        value = decimal(text)
    except NoteError:
        return
    assert str(value) == text


def test_a_witness_signs_what_the_specification_says() -> None:
    line = cosign(SIGNED, WITNESS, 1679315147)
    value = base64.b64decode(line.split(" ")[2])
    assert value[:4] == WITNESS.verifier.key_id
    assert int.from_bytes(value[4:12]) == 1679315147
    message = f"cosignature/v1\ntime 1679315147\n{CHECKPOINT.text()}"
    plain = Verifier(WITNESS.name, WITNESS.verifier.key)
    assert plain.key_id != WITNESS.verifier.key_id
    assert plain.verify(message, value[12:])


def test_a_cosigned_checkpoint_is_opened_by_both_keys() -> None:
    note = add(SIGNED, cosign(SIGNED, WITNESS, 0))
    found = opened(note, [LOG.verifier, Verifier.decoded(WITNESS.verifier.encoded())])
    assert found.verified == (LOG.name, WITNESS.name)
    assert checkpoint_of(note) == CHECKPOINT


def test_only_a_checkpoint_is_cosigned() -> None:
    with pytest.raises(NoteError):
        cosign(NOTE, WITNESS, 1)


COSIGNED = add(SIGNED, cosign(SIGNED, WITNESS, 1))
PROOF = Proof(1, (LEAVES[0], LEAVES[2]), COSIGNED, b"extra")


@given(
    SIZES,
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.none() | st.binary(),
)
def test_a_proof_and_back(index: int, hashes: list[bytes], extra: bytes | None) -> None:
    proof = Proof(index, tuple(hashes), COSIGNED, extra)
    assert Proof.parse(proof.text()) == proof
    assert Proof.parse(proof.text()).text() == proof.text()


def test_a_proof_is_written_as_specified() -> None:
    assert PROOF.text() == (
        "c2sp.org/tlog-proof@v1\n"
        "extra ZXh0cmE=\n"
        "index 1\n"
        f"{in_base64(LEAVES[0])}\n"
        f"{in_base64(LEAVES[2])}\n"
        f"\n{COSIGNED}"
    )


def test_a_proof_is_verified_without_the_log() -> None:
    found = PROOF.verify(LEAVES[1], LOG.verifier, [WITNESS.verifier], quorum=1)
    assert found == CHECKPOINT
    grown = Frontier()
    for leaf in LEAVES:
        grown.append(leaf)
    assert found.root == grown.root()


def test_a_false_proof_is_refused() -> None:
    other = CoSigner.generate("witness.example/w2").verifier
    log, witness = LOG.verifier, WITNESS.verifier
    with pytest.raises(ProofError):
        PROOF.verify(LEAVES[0], log)
    with pytest.raises(ProofError):
        Proof(0, PROOF.hashes, COSIGNED).verify(LEAVES[1], log)
    with pytest.raises(NoteError, match="fewer than 2"):
        PROOF.verify(LEAVES[1], log, [witness, other, witness], quorum=2)
    with pytest.raises(NoteError, match="nobody"):
        PROOF.verify(LEAVES[1], log, [other], quorum=1)
    with pytest.raises(NoteError, match="nobody"):
        PROOF.verify(LEAVES[1], Verifier(log.name, witness.key))
    elsewhere = sign(Checkpoint("log.example/b", 3, ROOT).text(), LOG)
    with pytest.raises(NoteError, match="is of log"):
        Proof(1, PROOF.hashes, elsewhere).verify(LEAVES[1], log)


def test_a_witness_alone_does_not_make_a_proof() -> None:
    text = CHECKPOINT.text()
    alone = f"{text}\n{cosign(SIGNED, WITNESS, 1)}"
    with pytest.raises(NoteError, match="nobody"):
        Proof(1, PROOF.hashes, alone).verify(LEAVES[1], LOG.verifier, [WITNESS.verifier], 1)


WRITTEN = PROOF.text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        COSIGNED,
        WRITTEN.replace("@v1", "@v2"),
        WRITTEN.replace("index 1\n", ""),
        WRITTEN.replace("index 1", "index 01"),
        WRITTEN.replace("index 1", "index -1"),
        WRITTEN.replace("index 1", "index  1"),
        WRITTEN.replace("index 1", "Index 1"),
        WRITTEN.replace("extra ZXh0cmE=", "extra ZXh0cmE"),
        WRITTEN.replace("extra ZXh0cmE=\nindex 1", "index 1\nextra ZXh0cmE="),
        WRITTEN.replace("extra ZXh0cmE=", "extra ZXh0cmE=\nextra ZXh0cmE="),
        WRITTEN.replace(in_base64(LEAVES[0]), in_base64(LEAVES[0])[:-4]),
        WRITTEN.replace(f"\n{in_base64(LEAVES[2])}", f"\n\n{in_base64(LEAVES[2])}"),
        WRITTEN.replace("\n\nlog", "\n\n\nlog"),
        WRITTEN.replace("\n", "\r\n"),
        WRITTEN[:-1],
        f"{WRITTEN}\n",
        WRITTEN.replace("index 1\n", "index 1\n" + f"{in_base64(ROOT)}\n" * 62),
    ],
)
def test_a_malformed_proof_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Proof.parse(text)


@pytest.mark.parametrize("members", [(-1, ()), (2**63, ()), (0, (b"short",))])
def test_what_cannot_be_written_is_no_proof(members: tuple[Any, ...]) -> None:
    with pytest.raises(NoteError):
        Proof(*members, COSIGNED)
