"""Presidio stays out of the server's process, in time, and off the network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.adapters.presidio import AnalyzerInspector, PresidioMasker
from gateway.core.errors import Code, Unavailable
from gateway.core.findings import Finding
from gateway.core.passages import Passage
from gateway.inspectors import pii
from gateway.inspectors.recognisers import LABELS


def moody(text: str) -> Sequence[tuple[str, int, int, float]]:
    """A recogniser that does what the text says."""
    if "raise" in text:
        raise ValueError(f"cannot read {text}")
    if "die" in text:
        os._exit(1)
    while "hang" in text:
        pass
    return pii.scan(text)


def broken(text: str) -> Sequence[tuple[str, int, int, float]]:
    """A recogniser that fails as soon as its engine tries it."""
    raise OSError("no patterns here")


def python(code: str) -> str:
    """What `code` prints in a Python of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@asynccontextmanager
async def analyzer(
    seconds: float = 30, predefined: bool = False
) -> AsyncIterator[AnalyzerInspector]:
    inspector = AnalyzerInspector(moody, LABELS, seconds=seconds, predefined=predefined)
    yield inspector
    await inspector.aclose()


def test_the_server_loads_neither_the_analyzer_nor_spacy() -> None:
    assert python(
        "import sys, gateway.adapters.presidio as p; p.PresidioMasker();"
        "p.AnalyzerInspector(len, ());"
        "print([m for m in ('presidio_analyzer', 'spacy',"
        " 'presidio_anonymizer.operators.ahds_surrogate') if m in sys.modules])"
    ) == "[]"  # fmt: skip


def test_importing_it_loads_few_modules() -> None:
    """Seconds would be the machine's; the analyzer adds over a thousand modules."""
    count = (
        "import sys; import gateway.core.ports, asyncio, multiprocessing, cryptography;"
        "n = len(sys.modules); import gateway.adapters.presidio; print(len(sys.modules) - n)"
    )
    assert int(python(count)) < 200


def test_the_operator_that_sends_text_away_is_not_there() -> None:
    assert "surrogate" not in PresidioMasker()._engine.get_anonymizers()


def test_masking_many_values_of_a_long_text() -> None:
    text = "".join(f"value{number:05} stays, " for number in range(1_000))
    size = len("value00000 stays, ")
    findings = [Finding("pii", "V", "/a", n * size, n * size + 10, 1.0) for n in range(1_000)]
    masked = PresidioMasker().mask(text, findings, lambda label, value: f"<{value[-5:]}>")
    assert masked == "".join(f"<{number:05}> stays, " for number in range(1_000))


async def test_after_an_error_the_same_workers_go_on_and_its_words_stay_inside() -> None:
    async with analyzer() as inspector:
        await inspector.start()
        pool = inspector._pool
        with pytest.raises(Unavailable) as caught:
            await inspector.inspect([Passage("raise bob@example.com", "/a")])
        assert caught.value.code is Code.INSPECTION_UNAVAILABLE
        assert "bob" not in caught.value.message
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        assert len(await inspector.inspect([Passage("bob@example.com", "/a")])) == 1
        assert inspector._pool is pool


@pytest.mark.parametrize("fate", ["die", "hang"])
async def test_a_worker_that_dies_or_hangs_is_replaced(fate: str) -> None:
    async with analyzer(seconds=1) as inspector:
        await inspector.start()
        pool = inspector._pool
        with pytest.raises(Unavailable):
            await inspector.inspect([Passage(fate, "/a")])
        found: Sequence[Finding] = ()
        for _ in range(10):  # a machine under load may take a while to end the process
            with suppress(Unavailable):
                found = await inspector.inspect([Passage("bob@example.com", "/a")])
                break
        assert len(found) == 1
        assert inspector._pool is not pool


async def test_workers_that_cannot_start_say_so_and_are_tried_again() -> None:
    inspector = AnalyzerInspector(broken, LABELS)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await inspector.inspect([Passage("bob@example.com", "/a")])
        assert inspector._pool is None


async def test_presidios_own_recognisers_come_on_top() -> None:
    async with analyzer(predefined=True) as inspector:
        text = "bob@example.com pays 1BoatSLRHtKNngkdXEeobR76b53LETtpyT"
        labels = {finding.label for finding in await inspector.inspect([Passage(text, "/a")])}
    assert {"EMAIL_ADDRESS", "CRYPTO"} <= labels


def test_an_engine_asks_nothing_of_the_network() -> None:
    assert python(
        "import socket\n"
        "def no(*a, **k): raise SystemExit('asked the network')\n"
        "socket.socket.connect = socket.getaddrinfo = socket.create_connection = no\n"
        "from gateway.adapters.presidio import _analyse\n"
        "from gateway.inspectors import pii, recognisers\n"
        "found = _analyse(pii.scan, recognisers.LABELS, True, ['bob@example.co.uk'], 60)\n"
        "print(found[0][0][0])"
    ) == "EMAIL_ADDRESS"  # fmt: skip
