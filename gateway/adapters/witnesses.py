"""Asks witnesses to sign the log's checkpoints: the other side of c2sp.org/tlog-witness."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import structlog

from gateway.core.note_keys import Algorithm, NoteError, Verifier
from gateway.core.notes import checkpoint_of, decimal, opened
from gateway.core.submissions import SIZE_TYPE, Submission

_log = structlog.get_logger(__name__)

Consistency = Callable[[int], Sequence[bytes]]
"""The proof that the checkpoint's log begins with what it had at a size. It may block."""

_HEADERS = {
    "accept-encoding": "identity",
    "content-type": "text/plain; charset=utf-8",
    "user-agent": "govgate",
}
_MOST_BYTES = 64 * 1024
_TRIES = 3
"""How often one is asked of a checkpoint: it may name its size, and another replica may move it."""


class WitnessError(ValueError):
    """A witness has not signed, or nothing that counts."""


@dataclass(slots=True)
class _Place:
    """A witness, the size that it had when it was last heard, and what went wrong since."""

    url: str
    verifier: Verifier
    size: int = 0
    problem: str | None = None


class Witnesses:
    """The witnesses at these `(url, vkey)`, all asked at once over `client`.

    `timeout` is the longest that any may take for a checkpoint, in seconds, whatever it does.
    Raises `ValueError` when a URL is none, a key is not a witness's, or two have one name.
    """

    def __init__(
        self, places: Sequence[tuple[str, str]], client: httpx.AsyncClient, timeout: float = 10.0
    ) -> None:
        self._client = client
        self._timeout = timeout
        self._places = [_Place(_address(url), _key(vkey)) for url, vkey in places]
        names = [place.verifier.name for place in self._places]
        if len(set(names)) < len(names):
            raise ValueError("two witnesses have the same name")

    @property
    def problems(self) -> dict[str, str]:
        """Why those witnesses that did not sign the last checkpoint did not, by name."""
        return {each.verifier.name: each.problem for each in self._places if each.problem}

    async def ask(self, checkpoint_note: str, consistency: Consistency) -> list[str]:
        """The signature lines of those that sign, as `notes.add` takes them, each verified.

        What keeps one from signing is logged, noted in `problems`, and harms no other. Raises
        `NoteError` when `checkpoint_note` is none.
        """
        checkpoint_of(checkpoint_note)
        asked = (self._lines(place, checkpoint_note, consistency) for place in self._places)
        return [line for lines in await asyncio.gather(*asked) for line in lines]

    async def _lines(self, place: _Place, note: str, consistency: Consistency) -> list[str]:
        try:
            async with asyncio.timeout(self._timeout):
                lines = await self._signed(place, note, consistency)
        except Exception as error:  # noqa: BLE001 - no witness may harm the others
            place.problem = f"{type(error).__name__}: {error}"
            _log.warning("witness_has_not_signed", witness=place.verifier.name,
                         problem=place.problem)  # fmt: skip
            return []
        place.problem = None
        return lines

    async def _signed(self, place: _Place, note: str, consistency: Consistency) -> list[str]:
        """The lines of one witness, asked from the size that it has, whatever that is."""
        size = checkpoint_of(note).size
        for _ in range(_TRIES):
            old = place.size
            if old > size:
                place.size = 0  # which has it say, next time, what it has then
                raise WitnessError(f"it holds {old} entries, more than the {size} to sign")
            proof: Sequence[bytes] = ()
            if 0 < old < size:
                proof = await asyncio.to_thread(consistency, old)
            response, body = await self._sent(place, Submission(old, tuple(proof), note))
            if response.status_code == 200:
                lines = _own_lines(note, body, place.verifier)
                place.size = size
                return lines
            if response.status_code != 409:
                place.size = 0
                raise WitnessError(f"it answers {response.status_code}")
            place.size = _size(response, body)
            if place.size == old:
                raise WitnessError(f"it holds another history of {old} entries")
        raise WitnessError("it names another size each time")

    async def _sent(self, place: _Place, submission: Submission) -> tuple[httpx.Response, str]:
        async with self._client.stream(
            "POST",
            f"{place.url}/add-checkpoint",
            content=submission.body(),
            headers=_HEADERS,
            follow_redirects=False,
        ) as response:
            if "content-encoding" in response.headers:  # a little may be a lot
                raise WitnessError("it answers compressed")
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _MOST_BYTES:
                    raise WitnessError(f"it answers more than {_MOST_BYTES} bytes")
        return response, body.decode()


def _own_lines(note: str, body: str, verifier: Verifier) -> list[str]:
    """The lines of `body` that are this witness's signatures. Others say nothing."""
    text = checkpoint_of(note).text()
    found = []
    for line in body.split("\n")[:-1]:
        try:
            opened(f"{text}\n{line}\n", [verifier])
        except NoteError:
            continue
        found.append(f"{line}\n")
    if not found:
        raise WitnessError("it answers without a signature of its own")
    return found


def _size(response: httpx.Response, body: str) -> int:
    """The size that a witness names."""
    media_type = response.headers.get("content-type", "").partition(";")[0].strip()
    if media_type != SIZE_TYPE or not body.endswith("\n"):
        raise WitnessError("it answers 409 without a size")
    return decimal(body[:-1])


def _address(url: str) -> str:
    parsed = httpx.URL(url)
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.query:
        raise ValueError(f"{url} is not the address of a witness")
    return url.rstrip("/")


def _key(vkey: str) -> Verifier:
    verifier = Verifier.decoded(vkey)
    if verifier.algorithm is not Algorithm.COSIGNATURE:
        raise NoteError(f"the key of {verifier.name} is not a witness's")
    return verifier
