"""The corpus of broken packs: what is wrong, the files, and what is said about them.

Each file of `broken/` holds a remark, the files of a small sound pack that are other than they
are there (`>>> path`, or `>>> path removed`), and after `<<<` what `check` says, as people read
it. `python -m tests.unit.adapters.packs.broken_packs` writes anew what is said: read the
difference before you keep it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.adapters.packs import Checked, check
from gateway.adapters.packs.telling import as_text
from tests.unit.adapters.packs.samples import FILES, LABELS

FOLDER = Path(__file__).parent / "broken"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Broken:
    """One broken pack."""

    path: Path
    told: str
    """The remark and the files, as they stand before `<<<`."""
    files: dict[str, str]
    said: str

    @classmethod
    def read(cls, path: Path) -> Broken:
        told, _, said = path.read_bytes().decode().partition("<<<\n")
        files = dict(FILES)
        for section in told.split(">>> ")[1:]:
            head, _, text = section.partition("\n")
            name, _, removed = head.partition(" ")
            if removed:
                del files[name]
            else:
                files[name] = text
        return cls(path, told, files, said)

    def checked(self) -> Checked:
        return check(self.files, LABELS, NOW)

    def now_said(self) -> str:
        return as_text(self.checked().problems) + "\n"


CORPUS = [Broken.read(path) for path in sorted(FOLDER.glob("*.txt"))]


if __name__ == "__main__":
    for broken in CORPUS:
        broken.path.write_bytes(f"{broken.told}<<<\n{broken.now_said()}".encode())
