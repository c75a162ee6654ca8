"""Runs a command that must not outlive who started it: `python -m gateway.adapters.opa.bound`.

Where the kernel allows it (Linux), it is killed when its parent ends, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Become `command`, whose parent is the process `parent`. Returns only when that is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:  # it may have ended before the line above
        os.execv(command[0], command)  # noqa: S606 - of our own command line


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
