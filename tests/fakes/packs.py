"""Packs whose files are JSON: no YAML, no engine, and fast."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.policies import PackFiles
from gateway.core.rulesets import Json, Rules, Tested, Unfit

RULE: Mapping[str, Any] = {
    "kind": "pii",
    "mode": "enforce",
    "floor": False,
    "from": None,
    "until": None,
    "when": {},
    "attached": None,
    "params": {"direction": "input", "labels": ["EMAIL_ADDRESS"], "min_score": 0.5},
    "on_match": "mask",
    "on_error": None,
    "code": "personal_data",
    "severity": "medium",
    "message": {"en": "Masked."},
}


def rule(**changed: Any) -> dict[str, Any]:
    """A rule as engines take it; members of `params` may be given by their names."""
    params = {k: v for k, v in changed.items() if k not in RULE}
    known = {k: v for k, v in changed.items() if k in RULE}
    return {**RULE, **known, "params": {**known.get("params", RULE["params"]), **params}}


def files(
    pack: str = "house",
    version: str = "1.0.0",
    rules: Mapping[str, Mapping[str, Any]] | None = None,
    tests: Sequence[str] = ("ok",),
    exceptions: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """The files of a pack. A test passes unless it is called `fails`; one called `alone` passes
    with no other pack in force only."""
    given = {f"{pack}.mask": rule()} if rules is None else rules
    return {
        "pack.yaml": json.dumps({"id": pack, "version": version}),
        "rules.yaml": json.dumps(given),
        "tests.yaml": json.dumps(list(tests)),
        "exceptions.yaml": json.dumps(exceptions or {}),
    }


@dataclass
class FakePacks:
    """Implements `Packs`. `library` stands for what interprets the packs, of which a README.md
    may say that it is needed."""

    library: str = "1"

    def digest(self, files: PackFiles) -> str:
        return _sha(dict(files))

    def named(self, files: PackFiles) -> tuple[str, str]:
        said = _read(files, "pack.yaml")
        return said["id"], said["version"]

    def compose(self, packs: Sequence[PackFiles]) -> Rules:
        rules: dict[str, Json] = {}
        exceptions: dict[str, Json] = {}
        for pack in packs:
            if f"needs {self.library}" not in pack.get("README.md", f"needs {self.library}"):
                raise Unfit([{"what": "another gateway"}], "it needs another gateway")
            for id, one in _read(pack, "rules.yaml").items():
                if id in rules:
                    raise Unfit([{"what": f"{id} is there twice"}], f"{id} is there twice")
                rules[id] = one
            exceptions |= _read(pack, "exceptions.yaml")
        on = {id: one for id, one in rules.items() if one["mode"] != "off"}
        told = {id: json.dumps(one, sort_keys=True) for id, one in rules.items()}
        return Rules(
            _sha([self.library, on, exceptions]),
            on,
            exceptions,
            sentences={locale: told for locale in ("en", "fr")},
        )

    def test(self, pack: PackFiles, among: Sequence[PackFiles]) -> Sequence[Tested]:
        id, _ = self.named(pack)
        return [
            Tested(id, "suite", name, ("it fails",) if _fails(name, len(among)) else ())
            for name in _read(pack, "tests.yaml")
        ]

    def edit(self, files: PackFiles, changes: Sequence[Json]) -> PackFiles:
        """A change names a file and its text."""
        return {**files, **{change["file"]: change["text"] for change in changes}}


def _fails(name: str, packs: int) -> bool:
    return name == "fails" or (name == "alone" and packs > 1)


def _read(files: PackFiles, name: str) -> Any:
    try:
        return json.loads(files[name])
    except (KeyError, ValueError) as error:
        raise Unfit([{"file": name, "what": "cannot be read"}], f"{name}: no JSON") from error


def _sha(value: Any) -> str:
    return f"sha256:{hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()}"
