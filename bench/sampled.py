"""Runs `govgate` and samples where its processor time goes.

`python -m bench.sampled OUTPUT govgate-arguments…`. A timer that counts processor time, not
the clock, interrupts the main thread, and the stack that it was in is counted. Sampling begins
with SIGUSR1 and ends with SIGUSR2, which writes each stack, outermost first, and its count.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path
from types import FrameType

_EVERY = 0.001
"""Seconds of processor time between two samples."""


class Sampler:
    """Counts stacks."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self.stacks: Counter[tuple[str, ...]] = Counter()

    def begin(self, _signal: int, _frame: FrameType | None) -> None:
        self.stacks.clear()
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)

    def sample(self, _signal: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            code = frame.f_code
            stack.append(f"{code.co_filename}:{code.co_qualname}")
            frame = frame.f_back
        self.stacks[tuple(reversed(stack))] += 1

    def end(self, _signal: int, _frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        lines = (f"{';'.join(stack)} {count}\n" for stack, count in self.stacks.items())
        # Renamed when whole, so that whoever waits for the file does not read half of it.
        partial = self._output.with_suffix(".partial")
        partial.write_text("".join(lines))
        partial.rename(self._output)


def main(output: str, arguments: list[str]) -> None:
    sampler = Sampler(Path(output))
    signal.signal(signal.SIGUSR1, sampler.begin)
    signal.signal(signal.SIGUSR2, sampler.end)
    signal.signal(signal.SIGPROF, sampler.sample)
    # A system call that a sample interrupts goes on by itself.
    signal.siginterrupt(signal.SIGPROF, False)
    (command,) = entry_points(group="console_scripts", name="govgate")
    sys.argv = ["govgate", *arguments]
    command.load()()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
