"""Asking witnesses: sizes found out, signatures checked, bad ones borne."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Sequence

import httpx
import pytest

from gateway.adapters.witness_memory import WitnessFiles
from gateway.adapters.witnesses import Witnesses
from gateway.core.notes import CoSigner, NoteError, add, opened
from gateway.core.submissions import SIZE_TYPE, Submission
from gateway.governance.witness import Witness
from tests.witnessing import LOG, NOW, GrownLog

GROWN = GrownLog()
Handler = Callable[[httpx.Request], httpx.Response]
SIGNERS = {f"w{n}": CoSigner(f"witness.example/w{n}", bytes([n]) * 32) for n in range(1, 4)}


def true(signer: CoSigner, folder: pytest.TempPathFactory) -> Handler:
    """A witness as it should be."""
    witness = Witness(
        signer, [LOG.verifier], WitnessFiles(folder.mktemp("witness")), lambda: float(NOW)
    )

    def handle(request: httpx.Request) -> httpx.Response:
        assert request.method == "POST"
        assert request.url.path == "/prefix/add-checkpoint"
        assert request.headers["user-agent"] == "govgate"
        answer = witness.add_checkpoint(request.content)
        headers = {"content-type": answer.media_type}
        return httpx.Response(answer.status, headers=headers, content=answer.body.encode())

    return handle


class Network:
    """Witnesses by host, and what each was asked."""

    def __init__(self, **handlers: Handler) -> None:
        self.asked: list[tuple[str, Submission]] = []
        self._handlers = handlers
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._handle))
        self.witnesses = Witnesses(
            [(f"https://{host}/prefix/", SIGNERS[host].verifier.encoded()) for host in handlers],
            self.client,
            timeout=60,
        )

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.asked.append((request.url.host, Submission.parse(request.content)))
        return self._handlers[request.url.host](request)

    async def ask(self, size: int, log: GrownLog = GROWN) -> list[str]:
        return await self.witnesses.ask(log.note(size), lambda old: log.proof(old, size))

    def sizes(self, host: str = "w1") -> list[int]:
        """The old sizes that a witness was asked with since the last look."""
        found = [submission.old for asked, submission in self.asked if asked == host]
        self.asked = [each for each in self.asked if each[0] != host]
        return found


def signed_by(lines: Sequence[str], size: int) -> set[str]:
    """Whose lines these are. All are good."""
    note = GROWN.note(size)
    for line in lines:
        note = add(note, line)
    known = [signer.verifier for signer in SIGNERS.values()]
    found = opened(note, [LOG.verifier, *known])
    assert len(found.unverified) == 0
    return set(found.verified) - {LOG.name}


async def test_all_sign(tmp_path_factory: pytest.TempPathFactory) -> None:
    network = Network(**{host: true(SIGNERS[host], tmp_path_factory) for host in SIGNERS})
    for size in (5, 9, 9, 600):
        lines = await network.ask(size)
        assert signed_by(lines, size) == {signer.name for signer in SIGNERS.values()}
    assert network.sizes() == [0, 5, 9, 9]
    assert not network.witnesses.problems


async def test_a_size_that_is_not_known_is_found_out(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    handler = true(SIGNERS["w1"], tmp_path_factory)
    await Network(w1=handler).ask(300)
    network = Network(w1=handler)  # after a restart
    assert len(await network.ask(500)) == 1
    assert network.sizes() == [0, 300]
    await Network(w1=handler).ask(550)  # another replica
    assert len(await network.ask(600)) == 1
    assert network.sizes() == [500, 550]


async def test_a_witness_that_is_ahead_is_not_asked_to_go_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    handler = true(SIGNERS["w1"], tmp_path_factory)
    await Network(w1=handler).ask(300)
    network = Network(w1=handler)
    assert await network.ask(200) == []
    assert "holds 300 entries, more than the 200" in network.witnesses.problems[SIGNERS["w1"].name]
    assert len(await network.ask(400)) == 1
    assert not network.witnesses.problems


async def test_another_history_is_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    handler = true(SIGNERS["w1"], tmp_path_factory)
    await Network(w1=handler).ask(300)
    network = Network(w1=handler)
    false = GrownLog(history="another ")
    assert await network.ask(300, false) == []
    assert "another history of 300" in network.witnesses.problems[SIGNERS["w1"].name]
    assert await network.ask(400, false) == []
    assert "422" in network.witnesses.problems[SIGNERS["w1"].name]
    assert len(await network.ask(300)) == 1


def answering(status: int, body: bytes = b"", media_type: str = "text/plain") -> Handler:
    def handle(request: httpx.Request) -> httpx.Response:
        headers = {"content-type": media_type, "location": "https://w2/add-checkpoint"}
        return httpx.Response(status, headers=headers, content=body)

    return handle


def disconnected(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody there", request=request)


def broken(request: httpx.Request) -> httpx.Response:
    raise RuntimeError("whatever")


class Endless(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield bytes(4096)


def endless(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, stream=Endless())


def compressed(request: httpx.Request) -> httpx.Response:
    content = gzip.compress(b"ok")
    return httpx.Response(200, headers={"content-encoding": "gzip"}, content=content)


def wavering() -> Handler:
    """Names another size each time."""
    sizes = iter(range(10, 100))

    def handle(request: httpx.Request) -> httpx.Response:
        return answering(409, b"%d\n" % next(sizes), SIZE_TYPE)(request)

    return handle


OTHERS_LINE = SIGNERS["w3"].signature(GROWN.checkpoint(300).text(), NOW)
WRONG_LINE = SIGNERS["w1"].signature(GROWN.checkpoint(200).text(), NOW)
BAD: dict[str, tuple[Handler, str]] = {
    "nobody there": (disconnected, "ConnectError"),
    "broken": (broken, "whatever"),
    "500": (answering(500), "answers 500"),
    "403": (answering(403), "answers 403"),
    "a redirect": (answering(302), "answers 302"),
    "compressed": (compressed, "answers compressed"),
    "endless": (endless, "more than 65536 bytes"),
    "an empty answer": (answering(200), "without a signature of its own"),
    "no line": (answering(200, b"ok\n"), "without a signature of its own"),
    "no UTF-8": (answering(200, b"\xff\n"), "UnicodeDecodeError"),
    "another's line": (answering(200, OTHERS_LINE.encode()), "without a signature of its own"),
    "a wrong line": (answering(200, WRONG_LINE.encode()), "without a signature of its own"),
    "409 without a size": (answering(409, b"no\n", SIZE_TYPE), "number"),
    "409 without a newline": (answering(409, b"3", SIZE_TYPE), "without a size"),
    "409 of another type": (answering(409, b"3\n"), "without a size"),
    "409 again": (answering(409, b"0\n", SIZE_TYPE), "another history of 0"),
    "409 with too much": (answering(409, b"301\n", SIZE_TYPE), "more than the 300"),
    "409 for ever": (wavering(), "another size each time"),
}


@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_witness_harms_nobody(
    bad: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    handler, problem = BAD[bad]
    network = Network(w1=handler, w2=true(SIGNERS["w2"], tmp_path_factory))
    assert signed_by(await network.ask(300), 300) == {SIGNERS["w2"].name}
    assert list(network.witnesses.problems) == [SIGNERS["w1"].name]
    assert problem in network.witnesses.problems[SIGNERS["w1"].name]


async def test_a_late_witness_is_not_waited_for() -> None:
    line = SIGNERS["w2"].signature(GROWN.checkpoint(300).text(), NOW)

    async def handle(request: httpx.Request) -> httpx.Response:
        if request.url.host == "w1":
            await asyncio.Event().wait()
        return httpx.Response(200, content=line.encode())

    client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    places = [(f"https://{host}", SIGNERS[host].verifier.encoded()) for host in ("w1", "w2")]
    witnesses = Witnesses(places, client, timeout=1.0)
    assert await witnesses.ask(GROWN.note(300), lambda old: []) == [line]
    assert "TimeoutError" in witnesses.problems[SIGNERS["w1"].name]


async def test_lines_of_others_in_an_answer_are_left_out(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    good = true(SIGNERS["w1"], tmp_path_factory)

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=OTHERS_LINE.encode() + good(request).content)

    lines = await Network(w1=handle).ask(300)
    assert signed_by(lines, 300) == {SIGNERS["w1"].name}


async def test_a_proof_that_cannot_be_made_harms_nobody(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    network = Network(
        w1=answering(409, b"7\n", SIZE_TYPE), w2=true(SIGNERS["w2"], tmp_path_factory)
    )

    def pruned(old: int) -> Sequence[bytes]:
        raise LookupError(f"nothing is kept of {old}")

    lines = await network.witnesses.ask(GROWN.note(300), pruned)
    assert signed_by(lines, 300) == {SIGNERS["w2"].name}
    assert "nothing is kept of 7" in network.witnesses.problems[SIGNERS["w1"].name]


async def test_only_a_checkpoint_is_sent() -> None:
    network = Network(w1=answering(200))
    with pytest.raises(NoteError):
        await network.witnesses.ask("no note", lambda old: [])
    assert not network.asked


@pytest.mark.parametrize(
    ("url", "vkey"),
    [
        ("ftp://w1", SIGNERS["w1"].verifier.encoded()),
        ("w1.example", SIGNERS["w1"].verifier.encoded()),
        ("https://", SIGNERS["w1"].verifier.encoded()),
        ("https://w1/?a=b", SIGNERS["w1"].verifier.encoded()),
        ("https://w1", LOG.verifier.encoded()),
        ("https://w1", "no key"),
    ],
)
async def test_what_is_no_witness_is_refused(url: str, vkey: str) -> None:
    with pytest.raises(ValueError, match=r"witness|name|key"):
        Witnesses([(url, vkey)], httpx.AsyncClient())


async def test_two_of_a_name_are_refused() -> None:
    place = ("https://w1", SIGNERS["w1"].verifier.encoded())
    with pytest.raises(ValueError, match="same name"):
        Witnesses([place, place], httpx.AsyncClient())
