"""A disk of a few megabytes, which one process tree alone sees, so that it can be filled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_WITHOUT_ROOT = ("--user", "--map-root-user")


class SmallDisk:
    """A tmpfs of `megabytes` at `folder`, in a mount namespace of its own.

    Commands that begin with `prefix` see it. It is gone when the last of them has ended.
    Needs Linux, and either root or user namespaces.
    """

    def __init__(self, folder: Path, megabytes: int = 8) -> None:
        folder.mkdir()
        self._folder = folder
        as_root = os.geteuid() == 0
        mount = f'mount -t tmpfs -o size={megabytes}m tmpfs "$0" && echo mounted && exec cat'
        self._holder = subprocess.Popen(
            ["unshare", *(() if as_root else _WITHOUT_ROOT), "--mount", "sh", "-c", mount, folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"mounted\n":
            assert self._holder.stderr is not None
            self._holder.wait()
            _missing(self._holder.stderr.read().decode())
        target = f"--target={self._holder.pid}"
        user = () if as_root else ("--user", "--preserve-credentials")
        self.prefix: tuple[str, ...] = ("nsenter", target, *user, "--mount", f"--wd={Path.cwd()}")
        self._filler = Path(f"/proc/{self._holder.pid}/root{folder}/filler")

    def fill(self) -> None:
        """Take all the space that is left."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink()

    def copy_database(self, name: str, to: Path) -> None:
        """Copy a SQLite database to a file that everybody sees, as it is now."""
        program = "import sqlite3, sys; a, b = map(sqlite3.connect, sys.argv[1:]); a.backup(b)"
        command = [*self.prefix, sys.executable, "-c", program, self._folder / name, to]
        subprocess.run(command, check=True)

    def remove(self) -> None:
        assert self._holder.stdin is not None
        self._holder.stdin.close()  # `cat` ends
        self._holder.wait()


def _missing(why: str) -> None:
    said = f"no small disk can be made here: {why}"
    if os.environ.get("CI"):
        pytest.fail(said)
    pytest.skip(said)
