"""What a witness remembers: durable, of one log each, never half, never by two at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from gateway.adapters.witness_memory import DamagedMemory, LogFile, WitnessFiles
from tests.witnessing import LOG, GrownLog

GROWN = GrownLog(10)


@pytest.fixture
def memory(tmp_path: Path) -> WitnessFiles:
    return WitnessFiles(tmp_path)


def test_what_is_kept_is_read_again(memory: WitnessFiles, tmp_path: Path) -> None:
    with memory.holding(LOG.name) as held:
        assert held.latest() is None
        held.keep(GROWN.note(3))
        assert held.latest() == GROWN.note(3)
        held.keep(GROWN.note(4))
    with WitnessFiles(tmp_path).holding(LOG.name) as held:
        assert held.latest() == GROWN.note(4)
    with memory.holding("log.example/../b") as other:
        assert other.latest() is None
    assert all(path.parent == tmp_path for path in tmp_path.rglob("*"))


def test_evidence_is_kept_once(memory: WitnessFiles, tmp_path: Path) -> None:
    with memory.holding(LOG.name) as held:
        held.keep(GROWN.note(3))
        held.accuse(GROWN.note(5))
        held.accuse(GROWN.note(6))
        assert held.latest() == GROWN.note(3)
    [evidence] = tmp_path.glob("*.contradiction")
    assert evidence.read_text() == GROWN.note(5)


@pytest.mark.parametrize("content", [b"", b"half a no", b"\xff", GROWN.note(3)[:-3].encode()])
def test_a_damaged_file_is_not_taken_for_nothing(memory: WitnessFiles, content: bytes) -> None:
    with memory.holding(LOG.name) as held:
        held.path.write_bytes(content)
        with pytest.raises(DamagedMemory):
            held.latest()


def test_the_file_of_another_log_is_not_read(memory: WitnessFiles) -> None:
    with memory.holding("log.example/b") as held:
        held.keep(GROWN.note(3))
        with pytest.raises(DamagedMemory, match="another log"):
            held.latest()


def test_what_cannot_be_synced_is_not_kept(
    memory: WitnessFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(file: int) -> None:
        raise OSError(5, "Input/output error")

    with memory.holding(LOG.name) as held:
        held.keep(GROWN.note(3))
        monkeypatch.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="Input/output"):
            held.keep(GROWN.note(4))
        assert held.latest() == GROWN.note(3)


def test_everything_is_synced_before_it_counts(
    memory: WitnessFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file before it takes the other's place, the folder after."""
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(file: int) -> None:
        done.append("folder" if Path(f"/proc/self/fd/{file}").is_dir() else "file")
        sync(file)

    def replaced(path: Path, target: Path) -> Path:
        done.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    with memory.holding(LOG.name) as held:
        held.keep(GROWN.note(3))
    assert done == ["file", "replace", "folder"]


def test_one_holds_a_log_at_a_time(memory: WitnessFiles) -> None:
    """Threads count up what they read; none overwrites what another has written."""
    notes = {GROWN.note(size): size for size in range(11)}

    def count(held: LogFile) -> None:
        latest = held.latest()
        held.keep(GROWN.note(0 if latest is None else notes[latest] + 1))

    def work() -> None:
        for _ in range(2):
            with memory.holding(LOG.name) as held:
                count(held)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with memory.holding(LOG.name) as held:
        assert held.latest() == GROWN.note(9)


def test_logs_do_not_wait_for_each_other(memory: WitnessFiles) -> None:
    with memory.holding(LOG.name), memory.holding("log.example/b") as other:
        assert other.latest() is None


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        WitnessFiles(tmp_path / "not mounted")
    assert not list(tmp_path.iterdir())
