"""A process that erases and dies on the way.

Run as `python -m tests.unit.governance.erasing URL FOLDER OF WHAT POINT`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.adapters.keyring import Keyring
from gateway.adapters.store import erasure
from gateway.adapters.store.erasure_file import Erased, ErasureFile
from tests.erasures import OFFICER, office


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dying(ErasureFile):
    """Dies once a line is durable, before the database knows of it."""

    def append(self, erased: Sequence[Erased]) -> None:
        super().append(erased)
        die()


async def main(url: str, folder: str, of: str, what: str, point: str) -> None:
    keyring = Keyring.open(Path(folder) / "keyring.json", None)
    async with office(url, keyring, Path(folder)) as desk:
        match point:
            case "line":
                desk.store._file = Dying(desk.file.path)
            case "commit":
                erasure.tidy = die
            case "record":
                desk.ledger.journal.note = die  # type: ignore[assignment,method-assign]
            case "mark":
                desk.store.recorded = die  # type: ignore[assignment,method-assign]
        if of == "subject":
            await desk.erasures.erase_subject("acme", what, OFFICER, "asked")
        else:
            await desk.erasures.erase_value("acme", None, what, OFFICER, "asked")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
