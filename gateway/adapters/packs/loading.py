"""From a directory of YAML to what an engine is given, with everything wrong with it said."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator

from gateway.adapters.packs.documents import Document, PackError, Problem, read, violations

Json = dict[str, Any]

_ASSETS = Path(str(files("gateway"))) / "assets"
_ALWAYS_READ = frozenset({"action.properties.stage", "resource.id", "context.unavailable"})
"""What the library itself looks at, whatever the rules: see policies/lib/decision.rego."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A policy pack, checked."""

    id: str
    version: str
    revision: str
    """`sha256:…` over the rules, the lists and the compiled library that interprets them."""
    data: Mapping[str, Any]
    """What engines hold as `data.pack`."""
    phrases: Mapping[str, tuple[str, ...]]
    """The phrases of each list, by its id: for the inspector that looks for them."""
    reads: frozenset[str]
    """The facts of a question that the rules look at, as dotted paths; `*` is each of a list."""
    instants: tuple[str, ...]
    """The moments at which a rule or an exception begins or ends to hold, ascending."""
    tables: tuple[Mapping[str, Any], ...]
    """The pack's test tables, as they stand in tests/*.yaml."""


def engine() -> Path:
    """The compiled rule library (`policies/lib`) that is shipped: a Wasm module."""
    return _ASSETS / "govgate.wasm"


def well_formed() -> Callable[[object], bool]:
    """Whether a value is a question, by `policies/schemas/question.json`."""
    return Draft202012Validator(_schema("question")).is_valid


def load_pack(path: Path) -> Pack:
    """The pack in the directory `path`.

    Raises `PackError`, which names file, line and rule of everything that is wrong.
    """
    source = _Source(path)
    manifest = source.one("pack.yaml", "manifest")
    rules = source.all("rules", "rule")
    lists = source.all("lists", "list")
    exceptions = source.one("exceptions.yaml", "exceptions", missing=[])
    tables = source.all("tests", "tables")
    source.stop_on_problems()
    source.problems += _mistakes(rules, lists, exceptions)
    source.stop_on_problems()

    phrases = {entry.value["id"]: _phrases(entry.value) for entry in lists}
    live = [_filled(rule.value) for rule in rules if rule.value["mode"] != "off"]
    ids = {rule["id"] for rule in live}
    waived = [exception for exception in exceptions.value if exception["rule"] in ids]
    data = {
        "id": manifest.value["id"],
        "version": manifest.value["version"],
        "rules": _by_kind(live),
        "exceptions": _by_rule(waived),
    }
    revision = _revision(data, phrases)
    return Pack(
        id=manifest.value["id"],
        version=manifest.value["version"],
        revision=revision,
        data={**data, "revision": revision},
        phrases=phrases,
        reads=_reads(live, waived),
        instants=_instants(live, waived),
        tables=tuple(table.value for table in tables),
    )


def _phrases(entry: Json) -> tuple[str, ...]:
    """The phrases of a list, in every language, each once."""
    return tuple(dict.fromkeys(phrase for those in entry["phrases"].values() for phrase in those))


class _Source:
    """The files of a pack, and what was found wrong with them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.problems: list[Problem] = []

    def one(self, name: str, shape: str, missing: Any = None) -> Document:
        """The one document of a file; `missing` stands in where the file may be absent."""
        if missing is not None and not (self._root / name).exists():
            return Document(name, missing, {})
        documents = self._documents(self._root / name, shape)
        if len(documents) == 1:
            return documents[0]
        self.problems.append(Problem(name, 0, None, "holds one document"))
        return Document(name, missing, {})

    def all(self, folder: str, shape: str) -> list[Document]:
        """Every document of every file of a folder, in order of their names."""
        found: list[Document] = []
        for path in sorted((self._root / folder).glob("*.yaml")):
            found += self._documents(path, shape)
        return found

    def stop_on_problems(self) -> None:
        if self.problems:
            raise PackError(self.problems)

    def _documents(self, path: Path, shape: str) -> list[Document]:
        try:
            documents = read(path, path.relative_to(self._root).as_posix())
        except PackError as error:
            self.problems += error.problems
            return []
        for document in documents:
            self.problems += violations(document, _validator(shape))
        return documents


def _mistakes(
    rules: Sequence[Document], lists: Sequence[Document], exceptions: Document
) -> Iterator[Problem]:
    """What no schema can say: names that are there twice, or point nowhere."""
    by_id = {rule.value["id"]: rule.value for rule in rules}
    for documents in (rules, lists):
        seen: set[str] = set()
        for document in documents:
            if document.value["id"] in seen:
                yield document.problem(["id"], "this id is there twice")
            seen.add(document.value["id"])
    known = {entry.value["id"] for entry in lists}
    for rule in rules:
        name = rule.value.get("params", {}).get("list")
        if name is not None and name not in known:
            yield rule.problem(["params", "list"], f"there is no list {name!r}")
        valid = rule.value.get("valid", {})
        if valid.get("from") and valid.get("until") and valid["from"] >= valid["until"]:
            yield rule.problem(["valid"], "it ends before it begins")
    names: set[str] = set()
    for at, exception in enumerate(exceptions.value):
        if exception["id"] in names:
            yield exceptions.problem([at, "id"], f"{exception['id']!r} is there twice")
        names.add(exception["id"])
        excepted = by_id.get(exception["rule"])
        if excepted is None:
            yield exceptions.problem([at, "rule"], f"there is no rule {exception['rule']!r}")
        elif excepted.get("floor"):
            yield exceptions.problem([at, "rule"], f"{exception['rule']!r} is a floor")


@cache
def _schema(name: str) -> Json:
    schema: Json = orjson.loads((_ASSETS / "schemas" / f"{name}.json").read_bytes())
    return schema


@cache
def _validator(shape: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{shape}", "$defs": _schema("pack")["$defs"]})


def _kind(kind: str) -> Json:
    """The schema of a kind of rule, with what it takes from a common one."""
    definitions = _schema("pack")["$defs"]
    own: Json = definitions["kinds"][kind]
    return {**definitions.get(own.get("$ref", "").removeprefix("#/$defs/"), {}), **own}


def _filled(rule: Json) -> Json:
    """A rule as the engines take it: defaults filled in, and only what they look at."""
    common, kind = _schema("pack")["$defs"]["rule"], _kind(rule["kind"])
    full = _defaults(common) | _defaults(kind) | rule
    params = _defaults(kind["properties"]["params"]) | full["params"]
    if "list" in params:
        params["labels"] = [params.pop("list")]
    return {
        "kind": full["kind"],
        "mode": full["mode"],
        "floor": full["floor"],
        "from": _moment(full["valid"].get("from")),
        "until": _moment(full["valid"].get("until")),
        "when": full["when"],
        "params": params,
        "on_match": full.get("on_match"),
        "on_error": full.get("on_error"),
        "code": full["code"],
        "severity": full["severity"],
        "message": full["message"],
        "id": full["id"],
    }


def _defaults(schema: Json) -> Json:
    return {
        name: member["default"]
        for name, member in schema["properties"].items()
        if isinstance(member, dict) and "default" in member
    }


def _moment(time: str | None) -> str | None:
    """A time as engines compare it: as text, to the second."""
    return None if time is None else time.removesuffix("Z")


def _by_kind(rules: Sequence[Json]) -> Json:
    kinds: Json = {}
    for rule in rules:
        kinds.setdefault(rule["kind"], {})[rule["id"]] = {k: rule[k] for k in rule if k != "id"}
    return kinds


def _by_rule(exceptions: Sequence[Json]) -> Json:
    by_rule: Json = {}
    for exception in exceptions:
        by_rule.setdefault(exception["rule"], {})[exception["id"]] = {
            "until": _moment(exception["until"]),
            "when": exception["when"],
        }
    return by_rule


def _reads(rules: Sequence[Json], exceptions: Sequence[Json]) -> frozenset[str]:
    """The facts that these depend on, as the schema declares them beside each kind."""
    selectors = _schema("pack")["$defs"]["when"]["properties"]
    reads = set(_ALWAYS_READ)
    for rule in rules:
        reads.update(_kind(rule["kind"])["x-reads"])
        if rule["on_match"] == "review":
            reads.add("context.review.state")
    for scope in [*rules, *exceptions]:
        for selector in scope["when"]:
            reads.update(selectors[selector]["x-reads"])
    return frozenset(reads)


def _instants(rules: Sequence[Json], exceptions: Sequence[Json]) -> tuple[str, ...]:
    moments = {rule[end] for rule in rules for end in ("from", "until")}
    moments |= {_moment(exception["until"]) for exception in exceptions}
    return tuple(sorted(moment for moment in moments if moment is not None))


def _revision(data: Json, phrases: Mapping[str, tuple[str, ...]]) -> str:
    library = hashlib.sha256(engine().read_bytes()).hexdigest()
    whole = {"pack": data, "lists": phrases, "library": library}
    digest = hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS))
    return f"sha256:{digest.hexdigest()}"
