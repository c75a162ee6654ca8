"""System calls of one thread, counted, failed or made the last that its process does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CALLS = (
    "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "rename", "openat", "unlink", "link",
)  # fmt: skip
"""Those by which a ledger and its log reach the disk."""
FAULTS = {"EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "SIGKILL": "signal=KILL"}
_CALL = re.compile(r"^(\w+)\(")


def strace() -> str:
    """The program (strace 5 or newer). Without it, fails where CI is set and skips elsewhere."""
    found = shutil.which("strace")
    if found is not None:
        return found
    missing = "strace is not installed, so that no system call can be made to fail"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def traced(thread: int, calls: str, *options: str, to: Path) -> Iterator[None]:
    """Watch `calls` of a running thread, noted in `to`, from now on until it ends."""
    command = [strace(), "-p", str(thread), "-e", f"trace={calls}", *options, "-o", str(to)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    attached = tracer.stderr.readline()
    assert "attached" in attached, f"strace may not watch another process here: {attached}"
    try:
        yield
    finally:
        tracer.wait(timeout=60)
        tracer.stderr.close()


def counted(trace: Path) -> Counter[str]:
    """How often each call was made."""
    found = (_CALL.match(line) for line in trace.read_text().splitlines())
    return Counter(call[1] for call in found if call)
