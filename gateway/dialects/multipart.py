"""`multipart/form-data` bodies: read into fields, and written again.

Source: RFC 7578, and the WHATWG HTML standard on how names are quoted. What a provider gets is
always written here, so it cannot be read there in another way than here. Passed on are each
field's name and value, and a file's name and type; other headers of a part are not, as RFC
7578 (4.8) has a reader ignore them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    content_disposition_quote,
    parse_options_header,
)

from gateway.core.errors import Code, Malformed
from gateway.core.findings import Finding
from gateway.core.json_body import LONGEST_STRING
from gateway.core.names import names
from gateway.core.passages import Slot
from gateway.dialects.vocabulary import VOCABULARY

MOST_PARTS = 256

_NAME = re.compile(r"[\w.-]{1,64}(?:\[\w{0,64}\]){0,4}", re.ASCII)
_MEDIA = re.compile(
    r"[\w!#$&^.+-]{1,64}/[\w!#$&^.+-]{1,64}"
    r'(?:; ?(?:codecs|charset|rate|channels)="?[\w.,+-]{1,40}"?){0,4}',
    re.ASCII,
)
"""A type and what may follow it; a parameter of any other name could hold anybody's text."""
_TEXT = re.compile(r"text/.*|application/(?:.*\+)?json")
_DIGITS = 60
"""Of a digest: a boundary has 70 characters at most (RFC 2046, 5.1.1)."""
_UTF_8 = frozenset({None, "utf-8", "utf8", "us-ascii"})
_PLAIN = frozenset({"7bit", "8bit", "binary"})


@dataclass(slots=True)
class Upload:
    """A part that is a file. Nothing here reads its content; its name is text like any other."""

    filename: str | None
    content_type: str | None
    content: bytes


def parse(body: bytes, content_type: str) -> dict[str, Any]:
    """The fields of a body, in order of their first appearance.

    A value is a `str`, or an `Upload` where the part is a file; of a name that occurs several
    times it is the list of them. Raises `Malformed`.
    """
    kind, options = parse_options_header(content_type)
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise Malformed("Send the body as 'multipart/form-data' with a boundary.")
    listed: dict[str, list[str | Upload]] = {}
    for part, content in _parts(body, options["boundary"]):
        listed.setdefault(_name(part), []).append(_value(part, content))
    return {name: one[0] if len(one) == 1 else one for name, one in listed.items()}


def _parts(body: bytes, boundary: str) -> Iterator[tuple[MultipartSegment, bytes]]:
    pieces: list[bytes] = []
    part: MultipartSegment | None = None
    try:
        with PushMultipartParser(
            boundary, content_length=len(body), max_segment_count=MOST_PARTS, strict=True
        ) as parser:
            for event in parser.parse(body):
                if isinstance(event, MultipartSegment):
                    part, pieces = event, []
                elif event is None:
                    yield part, b"".join(pieces)
                else:
                    pieces.append(event)
    except ParserLimitReached as error:
        words = f"The body has over {MOST_PARTS} parts, or a header that is too long."
        raise Malformed(words, code=Code.REQUEST_TOO_LARGE) from error
    except MultipartError as error:
        raise Malformed(f"The body is not valid multipart/form-data ({error.args[0]}).") from error


def _name(part: MultipartSegment) -> str:
    """The field's name. Raises `Malformed` for one that could be a text of its own."""
    name: str = part.name
    if not _NAME.fullmatch(name):
        raise Malformed("A field's name is up to 64 letters, digits and '_.-', then brackets.")
    return name


def _value(part: MultipartSegment, content: bytes) -> str | Upload:
    name = part.name
    headers = {key.lower(): value for key, value in part.headerlist}
    if headers.get("content-transfer-encoding", "binary").strip().lower() not in _PLAIN:
        raise Malformed(f"'{name}' must not be encoded for transfer.", param=name)
    media = headers.get("content-type", "").strip() or None
    if media is not None and not _MEDIA.fullmatch(media):
        raise Malformed(f"The content type of '{name}' cannot be read.", param=name)
    if part.filename is None and (media is None or _TEXT.fullmatch(part.content_type)):
        return _text(part, content)
    if "\x00" in (part.filename or ""):
        raise Malformed(f"The file name of '{name}' holds a NUL character.", param=name)
    return Upload(part.filename, media, content)


def _text(part: MultipartSegment, content: bytes) -> str:
    """A field's text. Raises `Malformed` unless it is UTF-8, and said to be nothing else."""
    name = part.name
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"'{name}' is no UTF-8 text.", param=name) from error
    charset = text if name == "_charset_" else part.charset
    if (charset and charset.lower()) not in _UTF_8:
        raise Malformed(f"'{name}' must be UTF-8.", param=name)
    if "\x00" in text:
        raise Malformed(f"'{name}' holds a NUL character.", param=name)
    if len(text) > LONGEST_STRING:
        words = f"'{name}' is longer than {LONGEST_STRING} characters."
        raise Malformed(words, param=name, code=Code.REQUEST_TOO_LARGE)
    return text


def encode(form: Mapping[str, Any]) -> tuple[str, bytes]:
    """A form as it goes on the wire: its content type and its body.

    The same form is always the same bytes.
    """
    parts = [part for name, value in form.items() for part in _written(name, value)]
    digest = hashlib.sha256()
    for head, content in parts:
        digest.update(head + content)
    # Content that held the digest of itself would be needed to break out of its part.
    boundary = f"govgate-{digest.hexdigest()[:_DIGITS]}"
    line = f"--{boundary}\r\n".encode()
    body = b"".join(b"%b%b\r\n\r\n%b\r\n" % (line, head, content) for head, content in parts)
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def _written(name: str, value: Any) -> Iterator[tuple[bytes, bytes]]:
    """The heads and contents of a field's parts."""
    head = f"Content-Disposition: form-data; name={content_disposition_quote(name)}"
    match value:
        case list():
            for item in value:
                yield from _written(name, item)
        case Upload():
            if value.filename is not None:
                head += f"; filename={content_disposition_quote(value.filename)}"
            if value.content_type is not None:
                head += f"\r\nContent-Type: {value.content_type}"
            yield head.encode(), value.content
        case bool():
            yield head.encode(), b"true" if value else b"false"
        case str():
            yield head.encode(), value.encode()
        case _:
            raise TypeError(f"a field cannot be of type {type(value).__name__}")


class _FileName(Slot):
    """The name of a file, which its provider reads too."""

    __slots__ = ("_upload",)

    def __init__(self, upload: Upload, where: str) -> None:
        super().__init__(upload, "filename", where, "user")
        self._upload = upload

    @property
    def text(self) -> str:
        return self._upload.filename or ""

    def put(self, text: str) -> None:
        self._upload.filename = text


def slots(form: dict[str, Any], known: Iterable[str], unread: Iterable[str] = ()) -> list[Slot]:
    """Every text of a form but the model's name: fields, and the names of files.

    Fields that are not `known` are numbered, not named: their names are looked at too, and stay
    as they are. Those in `unread` are no text.
    """
    found = [
        slot
        for index, name in enumerate(form)
        if name != "model" and name not in unread
        for slot in _slots(form, name, f"/{name}" if name in known else f"/#{index}")
    ]
    given = VOCABULARY.union(known, unread)
    told = {name for name in form if name in given or name.removesuffix("[]") in given}
    return [*found, *names(form, "", "user", (), told, fixed=True)]


def _slots(holder: Any, key: Any, where: str) -> Iterator[Slot]:
    match holder[key]:
        case str():
            yield Slot(holder, key, where, "user")
        case Upload(filename=str()) as upload:
            yield _FileName(upload, f"{where}/filename")
        case list() as listed:
            for index in range(len(listed)):
                yield from _slots(listed, index, f"{where}/{index}")


def opaque(form: Mapping[str, Any], known: Mapping[str, str]) -> list[Finding]:
    """A finding for each file, labelled as `known` says of its field, else `file`."""
    return [
        Finding("opaque", known.get(name, "file"), where, 0, 0, 1.0)
        for index, name in enumerate(form)
        for where, value in _each(form[name], f"/{name}" if name in known else f"/#{index}")
        if isinstance(value, Upload)
    ]


def _each(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        yield from ((f"{where}/{index}", item) for index, item in enumerate(value))
    else:
        yield where, value


def flag(form: dict[str, Any], name: str) -> None:
    """Read the field `name`, where it is there, as a boolean. Raises `Malformed`."""
    if name in form:
        if form[name] not in ("true", "false"):
            raise Malformed(f"'{name}' must be 'true' or 'false'.", param=name)
        form[name] = form[name] == "true"
