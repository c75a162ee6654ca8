"""Forms: what is read is what is written, and what cannot be read is refused."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Code, Malformed
from gateway.dialects import multipart
from gateway.dialects.multipart import Upload

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,10}(\[[a-z0-9_]{0,4}\]){0,2}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
FILE_NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters='\x00%"\\', exclude_categories=["Cc"]),
    max_size=20,
)
TYPES = st.sampled_from([None, "audio/wav", "image/png", "audio/webm;codecs=opus", "text/plain"])
UPLOADS = st.builds(Upload, FILE_NAMES, TYPES, st.binary(max_size=60))
ITEMS = st.one_of(TEXTS, UPLOADS)
FORMS = st.dictionaries(
    NAMES.filter(lambda name: name != "_charset_"),
    st.one_of(ITEMS, st.lists(ITEMS, min_size=2, max_size=3)),
    max_size=5,
)
HEAD = b'--b\r\nContent-Disposition: form-data; name="prompt"'
END = b"\r\n--b--\r\n"


def parse(body: bytes) -> dict[str, Any]:
    return multipart.parse(body, "multipart/form-data; boundary=b")


@given(FORMS)
def test_what_is_written_reads_as_it_was(form: dict[str, Any]) -> None:
    kind, body = multipart.encode(form)
    assert multipart.parse(body, kind) == form
    assert multipart.encode(form) == (kind, body)
    assert len(kind.partition("boundary=")[2]) <= 70, "RFC 2046, 5.1.1"


@given(st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=5), st.binary(max_size=80))
def test_what_a_client_writes_is_read(fields: list[tuple[str, str]], content: bytes) -> None:
    """httpx stands for the clients: the official ones send their forms through it."""
    fields = [(name, text) for name, text in fields if name not in ("_charset_", "file")]
    data: dict[str, Any] = {}
    for name, text in fields:
        data.setdefault(name, []).append(text)
    sent = httpx.Request(
        "POST", "https://x", data=data, files={"file": ("ä.wav", content, "audio/wav")}
    )
    form = multipart.parse(sent.read(), sent.headers["content-type"])
    assert form.pop("file") == Upload("ä.wav", "audio/wav", content)
    assert form == {name: one[0] if len(one) == 1 else one for name, one in data.items()}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for whole in (body, HEAD + b"\r\n\r\n" + body + END):
        try:
            form = parse(whole)
        except Malformed:
            continue
        assert multipart.parse(multipart.encode(form)[1], multipart.encode(form)[0]) == form


def test_content_cannot_break_out_of_its_part() -> None:
    kind, body = multipart.encode({"file": Upload("a", None, b"x")})
    inner = multipart.encode({"file": Upload("a", None, body), "prompt": "x"})
    form = multipart.parse(inner[1], inner[0])
    assert form["file"].content == body
    assert list(form) == ["file", "prompt"]
    assert kind != inner[0]


def test_a_file_name_cannot_break_out_of_its_header() -> None:
    form = {"file": Upload('a"\r\nX: y\r\n\r\nz', "audio/wav", b"1")}
    kind, body = multipart.encode(form)
    assert b"\r\nX: y" not in body
    assert multipart.parse(body, kind) == form


def test_flags_are_written_as_words() -> None:
    form: dict[str, Any] = {"stream": "true", "other": "false"}
    before = multipart.encode(form)
    for name in ("stream", "other", "missing"):
        multipart.flag(form, name)
    assert form == {"stream": True, "other": False}
    assert multipart.encode(form) == before


@pytest.mark.parametrize("value", ["True", "1", "", ["true", "true"]])
def test_a_flag_that_could_be_read_in_two_ways_is_refused(value: object) -> None:
    with pytest.raises(Malformed) as refused:
        multipart.flag({"stream": value}, "stream")
    assert refused.value.param == "stream"


def test_nothing_else_can_be_written() -> None:
    with pytest.raises(TypeError, match="int"):
        multipart.encode({"n": 1})


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=b"]
)
def test_a_form_has_a_boundary(kind: str) -> None:
    with pytest.raises(Malformed):
        multipart.parse(HEAD + b"\r\n\r\nx" + END, kind)


BROKEN = {
    "no end": HEAD + b"\r\n\r\nx",
    "empty": b"",
    "no disposition": b"--b\r\nX: y\r\n\r\nx" + END,
    "no name": b"--b\r\nContent-Disposition: form-data\r\n\r\nx" + END,
    "a name that is a text": HEAD.replace(b"prompt", b"ann@example.org") + b"\r\n\r\nx" + END,
    "no UTF-8": HEAD + b"\r\n\r\n\xff" + END,
    "a NUL": HEAD + b"\r\n\r\n\0" + END,
    "a NUL in a file's name": HEAD + b'; filename="\0"\r\n\r\nx' + END,
    "another charset": HEAD + b"\r\nContent-Type: text/plain; charset=utf-7\r\n\r\nx" + END,
    "another charset for all": HEAD.replace(b"prompt", b"_charset_") + b"\r\n\r\nutf-7" + END,
    "encoded": HEAD + b"\r\nContent-Transfer-Encoding: base64\r\n\r\neA==" + END,
    "a type that is a text": HEAD + b'\r\nContent-Type: a/b; name="Ann Lee"\r\n\r\nx' + END,
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_could_be_read_otherwise_is_refused(case: str) -> None:
    with pytest.raises(Malformed):
        parse(BROKEN[case])


@pytest.mark.parametrize(
    "body",
    [
        HEAD + b"\r\n\r\nx\r\n" + (HEAD + b"\r\n\r\nx\r\n") * 256 + b"--b--\r\n",
        HEAD + b"\r\n\r\n" + b"x" * ((1 << 20) + 1) + END,
        HEAD + b"\r\nX: " + b"x" * 5_000 + b"\r\n\r\nx" + END,
    ],
    ids=["parts", "text", "header"],
)
def test_there_are_limits(body: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        parse(body)
    assert refused.value.code is Code.REQUEST_TOO_LARGE


def test_a_field_that_says_it_is_text_is_text() -> None:
    for kind in (b"text/plain; charset=utf-8", b"application/json"):
        assert parse(HEAD + b"\r\nContent-Type: " + kind + b"\r\n\r\n{}" + END) == {"prompt": "{}"}
    typed = parse(HEAD + b"\r\nContent-Type: audio/wav\r\n\r\nx" + END)
    assert typed == {"prompt": Upload(None, "audio/wav", b"x")}


def test_every_text_has_a_slot_and_every_file_a_finding() -> None:
    form: dict[str, Any] = {
        "model": "m",
        "prompt": "a",
        "image": [Upload("b.png", None, b"1"), Upload(None, "image/png", b"2")],
        "x": ["c", "d"],
        "flag": True,
        "y": Upload("e", None, b"3"),
        "voice": "data:audio/wav;base64,AA",
    }
    found = multipart.slots(form, {"prompt", "image"}, unread={"voice"})
    assert {slot.where: slot.text for slot in found} == {
        "/prompt": "a", "/image/0/filename": "b.png", "/#3/0": "c", "/#3/1": "d",
        "/#5/filename": "e", "/#": "x\n;\nflag\n;\ny",
    }  # fmt: skip
    assert [slot.where for slot in found if slot.fixed] == ["/#"]
    for slot in found[:-1]:
        slot.put(slot.text.upper())
    assert form["image"][0].filename == "B.PNG"
    assert form["x"] == ["C", "D"]
    opaque = multipart.opaque(form, {"image": "image"})
    assert [(found.label, found.where) for found in opaque] == [
        ("image", "/image/0"), ("image", "/image/1"), ("file", "/#5"),
    ]  # fmt: skip


def test_a_file_can_be_hashed_by_its_content() -> None:
    def write(content: bytes) -> bytes:
        return orjson.dumps({"file": Upload("a", None, content)}, default=lambda value: value.hex())

    assert write(b"1") == b'{"file":{"filename":"a","content_type":null,"content":"31"}}'
