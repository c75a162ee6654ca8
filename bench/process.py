"""Starts a program, reads what it uses from /proc, and ends it with its children."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

_TICK = 1 / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Program:
    """A running program and its children: a process group of their own."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], directory: Path) -> None:
        self.log = directory / "output.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                argv,
                env=dict(env),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def last_words(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-2000:]

    def cpu_seconds(self) -> float:
        """Processor time used so far by the whole tree, children that ended included."""
        return sum(_cpu_seconds(pid) for pid in tree(self.pid))

    def rss_mb(self) -> float:
        """Resident memory of the whole tree, in MB of 10^6 bytes."""
        return sum(_rss_bytes(pid) for pid in tree(self.pid)) / 1e6

    def stop(self) -> None:
        """End the program and its children: asked first, then forced."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def tree(pid: int) -> list[int]:
    """`pid` and everything it started that is still there. See proc(5)."""
    found = [pid]
    for task in _tasks(pid):
        try:
            children = (task / "children").read_text().split()
        except FileNotFoundError:
            continue
        for child in children:
            found += tree(int(child))
    return found


def threads(pid: int) -> dict[str, float]:
    """Processor seconds of each thread of one process, by thread id and name."""
    used = {}
    for task in _tasks(pid):
        name, fields = _stat(task / "stat")
        used[f"{task.name} {name}"] = (int(fields[11]) + int(fields[12])) * _TICK
    return used


def _tasks(pid: int) -> list[Path]:
    try:
        return sorted(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:
        return []


def _stat(path: Path) -> tuple[str, list[str]]:
    """The name in a `stat` file, and its fields from the third on."""
    before, _, after = path.read_text().rpartition(")")
    return before.partition("(")[2], after.split()


def _cpu_seconds(pid: int) -> float:
    try:
        _, fields = _stat(Path(f"/proc/{pid}/stat"))
    except FileNotFoundError:
        return 0.0
    # utime, stime, and the same of children waited for: fields 14 to 17.
    return sum(int(each) for each in fields[11:15]) * _TICK


def _rss_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
