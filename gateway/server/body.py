"""Reading a request body off the wire, up to a limit."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from litestar.types import Receive

from gateway.core.errors import Code, Malformed

_DRAINED = 8
"""Times the limit that is read and thrown away, so that a client hears the refusal."""


class CallerGone(ConnectionError):
    """The caller hung up before the body was complete."""


async def read_body(
    headers: Mapping[str, str], receive: Receive, limit: int, accepts: Collection[str]
) -> bytes:
    """The body, of at most `limit` bytes, of one of the media types in `accepts`.

    Raises `Malformed` for another content type, a compressed or an oversized body, and
    `CallerGone`.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    refusal: Malformed | None = None
    if encoding not in ("", "identity"):
        refusal = Malformed(
            f"Compressed bodies ({encoding}) are not accepted.", code=Code.UNSUPPORTED_MEDIA_TYPE
        )
    elif kind not in accepts:
        refusal = Malformed(
            f"Send the body as 'content-type: {' or '.join(sorted(accepts))}'.",
            code=Code.UNSUPPORTED_MEDIA_TYPE,
        )
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise CallerGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            chunks.clear()
            refusal = refusal or Malformed(
                f"The body is larger than {limit} bytes.", code=Code.REQUEST_TOO_LARGE
            )
            if size > limit * _DRAINED:
                raise refusal
        else:
            chunks.append(chunk)
        if not message.get("more_body", False):
            break
    if refusal is not None:
        raise refusal
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
