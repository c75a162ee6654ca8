"""A witness in a process of its own: races, and kill -9 between remembering and answering."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from gateway.adapters.witnesses import Witnesses
from gateway.core.notes import Checkpoint, Opened, add, opened
from tests.houses import ROOT, free_port, wait_for
from tests.witnessing import LOG, WITNESS, GrownLog

TRUE, FALSE = GrownLog(), GrownLog(history="another ")

WITNESS_ONLY = ("-c", "from gateway.cli_witness import witness; witness()")
DYING = """
import os, signal, sys
from gateway.adapters.witness_memory import LogFile
keep = LogFile.keep
def dying(file, note):
    if {before}:
        os.kill(os.getpid(), signal.SIGKILL)
    keep(file, note)
    os.kill(os.getpid(), signal.SIGKILL)
LogFile.keep = dying
from gateway.cli_witness import witness
witness()
"""
"""A witness that is killed right before, or right after, it has remembered."""


@dataclass
class House:
    """A witness that serves, and is started again with what it remembers."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60, trust_env=False))

    def start(self, *program: str) -> None:
        options = ("--key", str(self.folder / "key"), "--log", LOG.verifier.encoded(),
                   "--data", str(self.folder / "data"), "--port", str(self.port))  # fmt: skip
        command = [sys.executable, *(program)]
        self.process = subprocess.Popen([*command, *options], cwd=ROOT)
        wait_for(f"{self.url}/livez", self.process)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Stop it; what it ends with."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(timeout=30)

    def add(self, old: int, size: int, log: GrownLog = TRUE) -> httpx.Response:
        return self.client.post(f"{self.url}/add-checkpoint", content=log.request(old, size))

    def kept(self) -> int:
        """The size that it names."""
        answer = self.add(1, 600)
        assert (answer.status_code, answer.headers["content-type"]) == (409, "text/x.tlog.size")
        return int(answer.text)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    (tmp_path / "data").mkdir()
    key = tmp_path / "key"
    key.write_text(WITNESS.encoded())
    key.chmod(0o600)
    house = House(tmp_path)
    yield house
    house.client.close()
    if house.process is not None:
        house.process.kill()
        house.process.wait()


@pytest.fixture
def serving(house: House) -> House:
    house.start(*WITNESS_ONLY)
    return house


def seen(answer: httpx.Response, checkpoint: Checkpoint) -> Opened:
    assert answer.status_code == 200
    return opened(f"{checkpoint.text()}\n{answer.text}", [WITNESS.verifier])


def test_it_signs_and_remembers(serving: House) -> None:
    assert seen(serving.add(0, 5), TRUE.checkpoint(5)).verified == (WITNESS.name,)
    assert serving.add(0, 5, FALSE).status_code == 409
    assert serving.stop() in {0, -signal.SIGTERM}
    serving.start("-m", "gateway", "witness")
    assert serving.kept() == 5
    assert serving.add(5, 9, FALSE).status_code == 422
    seen(serving.add(5, 9), TRUE.checkpoint(9))


async def test_the_client_asks_a_real_one(serving: House) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        witnesses = Witnesses([(serving.url, WITNESS.verifier.encoded())], client, timeout=60)
        for size in (5, 300, 300, 600):
            note = TRUE.note(size)
            for line in await witnesses.ask(note, lambda old: TRUE.proof(old, size)):  # noqa: B023
                note = add(note, line)
            assert opened(note, [WITNESS.verifier]).verified == (WITNESS.name,)
    assert not witnesses.problems


def test_of_two_histories_that_race_one_is_signed(serving: House) -> None:
    """Both at once, in several threads each, from every size that is reached."""
    winners = []
    known = 0
    with ThreadPoolExecutor(8) as threads:
        for size in range(2, 30):

            def race(log: GrownLog, known: int = known, size: int = size) -> httpx.Response:
                return serving.add(known, size, log)

            racing = [TRUE, FALSE] * 4
            answers = list(threads.map(race, racing))
            winners += [
                log for log, answer in zip(racing, answers, strict=True)
                if answer.status_code == 200
            ]  # fmt: skip
            assert {answer.status_code for answer in answers} <= {200, 409, 422}
            known = size
    assert len(winners) == 28  # one for each size
    assert all(winner is winners[0] for winner in winners)
    assert serving.kept() == known


def test_a_size_never_goes_back(serving: House) -> None:
    """Requests of all sizes at once: what is signed only grows, and the largest is kept."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda size: (size, serving.add(0, size)), range(600, 560, -1)))
    signed = [size for size, answer in answers if answer.status_code == 200]
    assert len(signed) == 1
    assert serving.kept() == signed[0]
    assert {answer.text for _, answer in answers if answer.status_code == 409} == {f"{signed[0]}\n"}


@pytest.mark.parametrize(("before", "kept"), [(False, 9), (True, 5)])
def test_killed_around_remembering_it_has_not_signed_what_it_forgot(
    house: House, before: bool, kept: int
) -> None:
    house.start(*WITNESS_ONLY)
    seen(house.add(0, 5), TRUE.checkpoint(5))
    house.stop(signal.SIGKILL)

    house.start("-c", DYING.format(before=before))
    with pytest.raises(httpx.TransportError):
        house.add(5, 9)
    assert house.process is not None
    assert house.process.wait(timeout=30) == -signal.SIGKILL

    house.start(*WITNESS_ONLY)
    assert house.kept() == kept
    seen(house.add(kept, 9), TRUE.checkpoint(9))  # asked again, it answers
    assert house.add(9, 12, FALSE).status_code == 422


def test_a_damaged_memory_stops_it(serving: House) -> None:
    """It does not begin anew, as if it had never signed."""
    seen(serving.add(0, 5), TRUE.checkpoint(5))
    [file] = (serving.folder / "data").glob("*.checkpoint")
    file.write_bytes(file.read_bytes()[:-10])
    for log in (TRUE, FALSE):
        answer = serving.add(0, 7, log)
        assert (answer.status_code, "cannot remember" in answer.text) == (500, True)
