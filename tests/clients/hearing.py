"""Listens to an official client, and holds what it was answered against its shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2

from tests.shapes import Asked, OutOfShape, check_traffic


class Hearing:
    """What was wrong with the answers that a client read to their end.

    Unless it is `strict`, it does not listen.
    """

    def __init__(self, *, strict: bool = True) -> None:
        self.faults: list[str] = []
        self.count = 0
        """Answers that were held against their shape."""
        self._strict = strict

    def listen(self, response: httpx2.Response) -> None:
        """An event hook: the body is not read yet."""
        if self._strict:
            stream = response.stream
            assert isinstance(stream, httpx2.SyncByteStream)
            response.stream = _Overheard(stream, response, self)

    def judge(self) -> None:
        """Raise `AssertionError` where something was wrong."""
        assert not self.faults, self.faults

    def ended(self, response: httpx2.Response, body: bytes) -> None:
        """The whole body was read."""
        request = response.request
        asked = Asked(request.method, request.url.raw_path.decode(), request.headers)
        self.count += 1
        try:
            check_traffic(asked, response.status_code, response.headers, body)
        except OutOfShape as fault:
            self.faults.append(f"{asked.method} {asked.path}: {fault}")


class _Overheard(httpx2.SyncByteStream):
    """The body, which is also kept."""

    def __init__(self, stream: Any, response: httpx2.Response, hearing: Hearing) -> None:
        self._stream = stream
        self._response = response
        self._hearing = hearing

    def __iter__(self) -> Iterator[bytes]:
        pieces = []
        for piece in self._stream:
            pieces.append(piece)
            yield piece
        self._hearing.ended(self._response, b"".join(pieces))

    def close(self) -> None:
        self._stream.close()
