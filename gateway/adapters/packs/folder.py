"""A pack's files: read from a directory, and the digest that names a version of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import orjson

from gateway.adapters.packs.problems import Code, PackError, Place, Problem
from gateway.core.policies import PackFiles

LARGEST = 5 << 20
"""The most bytes that the files of a pack may have together."""

_ANYWHERE = {".yaml", ".yml", ".txt", ".md"}
_IN = {".rego": "rego", ".json": "schemas"}


def read_folder(path: Path) -> PackFiles:
    """The files of the pack in the directory `path`, by their path inside it.

    Taken are `*.yaml`, `*.txt` and `*.md`, `rego/*.rego` and `schemas/*.json`, in UTF-8; what is
    hidden is left. Raises `PackError`, which names every file that cannot be read.
    """
    root = path.resolve()
    found: dict[str, str] = {}
    problems: list[Problem] = []
    size = 0
    for name in sorted(_names(path)):
        try:
            if not (path / name).resolve().is_relative_to(root):
                raise PackError([_outside(name)])
            if not _taken(PurePosixPath(name)):
                continue
            content = _limited(path / name, LARGEST - size)
            size += len(content)
            found[name] = content.decode("utf-8")
        except PackError as error:
            problems += error.problems
        except UnicodeDecodeError as error:
            problems.append(_not_text(name, content, error))
        except OSError as error:
            problems.append(_unread(name, error))
    if size > LARGEST:
        problems.append(_too_large())
    if not found and not problems:
        problems.append(_empty(path))
    if problems:
        raise PackError(problems)
    return found


def write_folder(path: Path, before: PackFiles, after: PackFiles) -> Sequence[str]:
    """Bring the directory `path`, which holds `before`, to hold `after`; the files that changed.

    Each file is replaced as a whole. Raises `OSError` where one cannot be written.
    """
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    for name in changed:
        target = path / name
        if name not in after:
            target.unlink(missing_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.new")
        beside.write_bytes(after[name].encode())
        if target.exists():
            beside.chmod(target.stat().st_mode)
        beside.replace(target)
    return changed


def digest_of(files: PackFiles) -> str:
    """`sha256:…` over the files: the identity of a version. Their order does not matter."""
    canonical = orjson.dumps(dict(files), option=orjson.OPT_SORT_KEYS)
    return f"sha256:{hashlib.sha256(canonical).hexdigest()}"


def _names(root: Path) -> Iterator[str]:
    """The paths of what may belong to a pack, and of every link. Directories behind links are
    not entered."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in [*names, *folders]:
            path = Path(folder, name)
            inside = PurePosixPath(path.relative_to(root).as_posix())
            file = name in names and _taken(inside)
            if not name.startswith(".") and (file or path.is_symlink()):
                yield str(inside)


def _taken(inside: PurePosixPath) -> bool:
    wanted = _IN.get(inside.suffix)
    return inside.suffix in _ANYWHERE or wanted == inside.parent.name != ""


def _limited(path: Path, most: int) -> bytes:
    """The content of a file, and of one that is too large one byte more than `most`."""
    with path.open("rb") as file:
        return file.read(max(most, 0) + 1)


def _outside(name: str) -> Problem:
    return Problem.at(
        Place(name), Code.OUTSIDE, "this is a link to a place outside the pack",
        why="What is approved must be what is in force, and nobody sees when that place changes.",
        fix="Copy the file into the pack in place of the link.",
    )  # fmt: skip


def _not_text(name: str, content: bytes, error: UnicodeDecodeError) -> Problem:
    line = content[: error.start].count(b"\n") + 1
    return Problem.at(
        Place(name, line), Code.NOT_READ, "cannot be read: it is not UTF-8 text",
        why="Letters such as é would come out wrong, and a phrase with them never be found.",
        fix="Save the file again with the encoding UTF-8.",
    )  # fmt: skip


def _unread(name: str, error: OSError) -> Problem:
    return Problem.at(
        Place(name), Code.NOT_READ, f"cannot be read: {error.strerror or 'no reason was given'}",
        why="A pack is used whole or not at all.",
        fix="See that the file is there, and that you may read it.",
    )  # fmt: skip


def _too_large() -> Problem:
    return Problem.at(
        Place("pack.yaml"), Code.TOO_LARGE,
        f"the pack is larger than {LARGEST >> 20} MB",
        why="Every gateway holds it in memory, and people must be able to read it.",
        fix="Remove files that do not belong to it, or split it into several packs.",
    )  # fmt: skip


def _empty(path: Path) -> Problem:
    what = "it has no files" if path.is_dir() else "there is no such directory"
    return Problem.at(
        Place("pack.yaml"), Code.NO_MANIFEST, f"cannot be read: {what}",
        why="A pack begins with the file pack.yaml.",
        fix="Name the directory that holds pack.yaml, or make one: govgate policy edit new-pack.",
    )  # fmt: skip
