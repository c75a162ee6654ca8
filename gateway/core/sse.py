"""Server-sent events, decoded as their bytes arrive (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"


class Message(NamedTuple):
    """One dispatched event: its type and its data lines, joined by a line feed.

    `data` stays UTF-8 as it came: no line ends inside a character, so it can be decoded whole.
    """

    event: str
    data: bytes


class Decoder:
    """Bytes in pieces of any size in, messages out; the same ones however the bytes are cut.

    Linear in the bytes fed. Lines end in CR, LF or CRLF. `id` and `retry` are for readers
    that connect again, which a gateway never does, and are ignored like unknown fields.
    A line, or the data of a message, of more than `limit` bytes is an error.
    """

    def __init__(self, limit: int = 1 << 20) -> None:
        self._limit = limit
        self._line = bytearray()  # the line that has not ended
        self._after_cr = False  # a line feed now belongs to the line end before it
        self._at_start = True  # a byte order mark may stand here
        self._event = ""
        self._data: list[bytes] = []
        self._size = 0  # bytes in _data, its joints counted
        self._fault: str | None = None

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that `chunk` completes.

        Raises `ValueError` past the limit; messages before the excess are returned first and
        the error is raised by the next call, so that the cut of the bytes changes nothing.
        """
        self._check()
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        # For bytes, unlike for str, the only line ends of splitlines are CR, LF and CRLF.
        lines = chunk.splitlines()
        rest = b"" if chunk.endswith((b"\r", b"\n")) else lines.pop()
        if self._line and lines:
            self._line += lines[0]
            lines[0] = bytes(self._line)
            self._line.clear()
        messages = self._read(lines)
        self._line += rest
        mark = len(_BOM) if self._at_start and self._line.startswith(_BOM) else 0
        if len(self._line) - mark > self._limit:
            self._fault = f"a line of more than {self._limit} bytes"
        if not messages:
            self._check()
        return messages

    def finish(self) -> Message | None:
        """Say that the bytes have ended.

        Returns the data of a message that was not ended by an empty line. The specification
        has a reader drop it; here it tells a torn stream from a finished one.
        Raises `ValueError` as `feed` does.
        """
        self._check()
        ended = self._read([bytes(self._line), b""] if self._line else [b""])
        self._check()
        return ended[0] if ended else None

    def _check(self) -> None:
        if self._fault is not None:
            raise ValueError(f"not a stream we read: {self._fault}")

    def _read(self, lines: list[bytes]) -> list[Message]:
        """Interpret whole lines, up to the first that goes past the limit."""
        messages: list[Message] = []
        if self._at_start and lines:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BOM)
        for line in lines:
            if not line:
                if self._data:
                    messages.append(Message(self._event or "message", b"\n".join(self._data)))
                    self._data = []
                    self._size = 0
                self._event = ""
                continue
            if len(line) > self._limit:
                self._fault = f"a line of more than {self._limit} bytes"
                break
            name, _, value = line.partition(b":")
            if name == b"data":
                value = value.removeprefix(b" ")
                self._data.append(value)
                self._size += len(value) + 1
                if self._size > self._limit:
                    self._fault = f"a message of more than {self._limit} bytes"
                    break
            elif name == b"event":
                self._event = value.removeprefix(b" ").decode(errors="replace")
        return messages
