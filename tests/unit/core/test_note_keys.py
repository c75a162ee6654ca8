"""The keys of signed notes: published ones, malformed ones, and what they sign."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.note_keys import CoSigner, NoteError, Signer, Verifier

SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
"""The example of golang.org/x/mod/sumdb/note."""

PETER = Verifier.decoded(VKEY)
WITNESS = CoSigner("witness.example/w1", b"w" * 32)
NAMES = st.text(string.ascii_letters + string.digits + "./-é漢", min_size=1)
TEXT = "log.example/a\n3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


@given(NAMES, st.binary(min_size=32, max_size=32))
def test_a_key_and_back(name: str, seed: bytes) -> None:
    signer, witness = Signer(name, seed), CoSigner(name, seed)
    assert Signer.decoded(signer.encoded()).verifier == signer.verifier
    assert CoSigner.decoded(witness.encoded()).verifier == witness.verifier
    for verifier in (signer.verifier, witness.verifier):
        assert Verifier.decoded(verifier.encoded()) == verifier
    assert signer.verifier.key == witness.verifier.key
    assert signer.verifier.key_id != witness.verifier.key_id


def test_the_published_key_is_read_and_written() -> None:
    signer = Signer.decoded(SKEY)
    assert signer.encoded() == SKEY
    assert signer.verifier == PETER
    assert PETER.encoded() == VKEY
    assert PETER.key_id.hex() == "c74f20a3"


def test_a_key_does_not_show_itself() -> None:
    assert repr(Signer.decoded(SKEY)) == "Signer('PeterNeumann')"
    with pytest.raises(NoteError) as refused:
        Signer.decoded(SKEY.replace("c74f20a3", "c74f20a4"))
    assert "AYEKFALV" not in str(refused.value)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a3+",
        VKEY.replace("c74f20a3", "c74f20a4"),
        VKEY.replace("c74f20a3", "C74F20A3"),
        VKEY.replace("c74f20a3", "0c74f20a3"),
        VKEY.replace("PeterNeumann", "Peter Neumann"),
        VKEY.replace("PeterNeumann", ""),
        VKEY.replace("PeterNeumann", "PeterNeumanN"),
        VKEY + "\n",
        VKEY[:-4],
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_a_malformed_key_is_refused(vkey: str) -> None:
    with pytest.raises(NoteError):
        Verifier.decoded(vkey)


@pytest.mark.parametrize(
    "skey",
    [VKEY, SKEY[8:], SKEY[:-4], SKEY.replace("+AYEK", "+BIEK"), SKEY.replace("+AYEK", "+AYEL"),
     WITNESS.encoded(), ""],
)  # fmt: skip
def test_a_malformed_private_key_is_refused(skey: str) -> None:
    with pytest.raises(NoteError):
        Signer.decoded(skey)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u00a0b", "a\x7f\x01", "\ud800"])
def test_nobody_has_such_a_name(name: str) -> None:
    with pytest.raises(NoteError):
        Signer.generate(name)
    with pytest.raises(NoteError):
        Verifier(name, PETER.key)


def test_a_cosignature_holds_for_its_time_and_checkpoint_alone() -> None:
    line = WITNESS.signature(TEXT, 7)
    value = base64.b64decode(line.split(" ")[2])[4:]
    verifier = WITNESS.verifier
    assert verifier.verify(TEXT, value)
    assert not verifier.verify(TEXT, (8).to_bytes(8) + value[8:])
    assert not verifier.verify(TEXT + "more\n", value)
    assert not verifier.verify(TEXT, value[:8])
    assert not verifier.verify(TEXT, b"")
    assert not verifier.verify(TEXT, value[8:])


@pytest.mark.parametrize("timestamp", [-1, 2**63])
def test_no_cosignature_is_of_such_a_time(timestamp: int) -> None:
    with pytest.raises(NoteError, match="of the time"):
        WITNESS.signature(TEXT, timestamp)


def test_a_time_out_of_range_is_not_verified() -> None:
    time = 2**63
    signer = Signer(WITNESS.name, b"w" * 32)
    line = signer.signature(f"cosignature/v1\ntime {time}\n{TEXT}")
    value = base64.b64decode(line.split(" ")[2])[4:]
    assert not WITNESS.verifier.verify(TEXT, time.to_bytes(8) + value)
