"""The shape of a sinks file: where records are sent."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, ValidationError

from gateway.core.file_shape import Document, Secret, Shape

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
JsonFormat: TypeAlias = Literal["jsonl", "ocsf", "otel"]
LineFormat: TypeAlias = Literal["jsonl", "ocsf", "otel", "cef"]
_WHSEC = "whsec_"
_LEAST_SECRET = 24
"""Bytes of a secret, at least, as Standard Webhooks says."""


class SinksError(ValueError):
    """A sinks file that cannot be used; says everything that is wrong with it."""


class Common(Shape):
    """What every sink has."""

    name: Name
    content: Literal["none", "masked"] = "none"
    """Whether what was said is sent too: without personal data, never in clear."""
    reason: Annotated[str, Field(max_length=1_000)] = ""
    """Why it is sent. It goes on record."""


class FileShape(Common):
    """Lines in a file."""

    kind: Literal["file"]
    path: Annotated[str, Field(min_length=1)]
    format: LineFormat = "jsonl"
    rotate_bytes: Annotated[int, Field(ge=4_096)] = 100 << 20
    """A file that is this large is put aside, under its name and a time."""


class SyslogShape(Common):
    """Messages to a syslog server over TLS."""

    kind: Literal["syslog"]
    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 6514
    format: LineFormat = "cef"
    ca: str | None = None
    """A file with the authorities that the server's certificate is checked against; by default
    the system's."""
    certificate: str | None = None
    """A file with a certificate and its key, where the server asks for one."""
    facility: Annotated[int, Field(ge=0, le=23)] = 13
    """13 is the log audit facility of RFC 5424."""
    timeout_seconds: Annotated[float, Field(gt=0, le=25)] = 10.0


class WebhookShape(Common):
    """Batches, posted over HTTPS."""

    kind: Literal["webhook"]
    url: Annotated[str, Field(pattern=r"^https://")]
    secret: Secret
    format: JsonFormat = "jsonl"
    allow_private: bool = False
    """Whether it may be in a private network, or on this machine."""
    timeout_seconds: Annotated[float, Field(gt=0, le=25)] = 10.0


class BucketShape(Common):
    """Objects in a bucket, one for each batch."""

    kind: Literal["s3"]
    url: Annotated[str, Field(pattern=r"^s3://[^/]+")]
    format: LineFormat = "jsonl"


SinkShape: TypeAlias = FileShape | SyslogShape | WebhookShape | BucketShape
AnyShape: TypeAlias = Annotated[SinkShape, Field(discriminator="kind")]


class File(Shape):
    """A sinks file."""

    sinks: tuple[AnyShape, ...]


def sinks_of(document: Document) -> tuple[SinkShape, ...]:
    """The sinks that `document` says. Raises `SinksError`."""
    try:
        file = File.model_validate(document.value)
    except ValidationError as error:
        raise _wrong(document, [(each["loc"], each["msg"]) for each in error.errors()]) from None
    if problems := [*_twice(file), *_contents(file)]:
        raise _wrong(document, problems)
    return file.sinks


def signing_key(secret: str) -> bytes:
    """The key in a webhook's secret: base64, with or without `whsec_`. Raises `SinksError`."""
    try:
        key = base64.b64decode(secret.removeprefix(_WHSEC), validate=True)
    except (binascii.Error, ValueError):
        raise SinksError("the secret is not base64, as Standard Webhooks wants it") from None
    if len(key) < _LEAST_SECRET:
        raise SinksError(f"the secret has fewer than {_LEAST_SECRET} bytes")
    return key


def _twice(file: File) -> Iterator[tuple[tuple[str | int, ...], str]]:
    known: set[str] = set()
    for at, sink in enumerate(file.sinks):
        if sink.name in known:
            yield ("sinks", at, "name"), f"{sink.name!r} is there twice"
        known.add(sink.name)


def _contents(file: File) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for at, sink in enumerate(file.sinks):
        if sink.content == "none":
            continue
        if isinstance(sink, SyslogShape):
            yield ("sinks", at, "content"), "what was said is too long for syslog"
        elif sink.format != "jsonl":
            yield ("sinks", at, "format"), "what was said is told as jsonl only"
        if not sink.reason.strip():
            yield ("sinks", at, "content"), "what was said is sent for a 'reason': give one"


def _wrong(document: Document, problems: Sequence[tuple[Sequence[str | int], str]]) -> SinksError:
    return SinksError(
        "\n".join(str(document.problem(where, f"{_path(where)}{what}")) for where, what in problems)
    )


def _path(where: Sequence[str | int]) -> str:
    return re.sub(r"\.(\d+)", r"[\1]", ".".join(map(str, where))) + ": " if where else ""
