"""The rule library as its text, for engines that compile it themselves."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

_FOLDER = Path(str(files("gateway"))) / "assets" / "lib"


def library() -> Mapping[str, bytes]:
    """Its modules by file name, without their tests."""
    return {
        path.name: path.read_bytes()
        for path in sorted(_FOLDER.glob("*.rego"))
        if not path.name.endswith("_test.rego")
    }
