"""Several packs in force at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from gateway.adapters.packs.custom import CustomKind
from gateway.adapters.packs.documents import Document
from gateway.adapters.packs.facts import revision
from gateway.adapters.packs.loading import Pack
from gateway.adapters.packs.problems import Code, PackError, Place, Problem


@dataclass(frozen=True, slots=True)
class Composed:
    """A pack as it is part of a ruleset."""

    version: str
    digest: str
    """`sha256:…` over its files."""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Everything that is in force: what engines, caches and inspectors need of it."""

    packs: Mapping[str, Composed]
    """By the id of the pack, in order of the ids."""
    revision: str
    """`sha256:…` over the rules and lists of every pack, and the library that interprets them."""
    data: Mapping[str, Any]
    """What engines hold as `data.pack`."""
    phrases: Mapping[str, tuple[str, ...]]
    """The phrases of each list, by its id."""
    reads: frozenset[str]
    """The facts of a question that the rules look at; see `Pack.reads`."""
    instants: tuple[str, ...]
    """The moments at which what is decided may change, ascending."""
    custom: tuple[CustomKind, ...] = ()
    """The kinds that packs bring and rules are of, in order of their modules, each once."""

    @property
    def reads_calls(self) -> bool:
        """Whether a rule asks what stands in the arguments of a tool call."""
        return any(
            kind.startswith("custom")
            or (rule["on_match"] == "filter" and rule["params"].get("direction") == "output")
            for kind, rules in self.data["rules"].items()
            for rule in rules.values()
        )

    @property
    def judges_calls(self) -> bool:
        """Whether a rule may say anything of a tool call."""
        return self.reads_calls or bool(self.data["rules"].get("tool_access"))


def compose(packs: Sequence[Pack]) -> Ruleset:
    """What the packs say together. Their order does not matter.

    Raises `PackError` where two have a rule, a list or an exception of the same id.
    """
    ordered = sorted(packs, key=lambda pack: pack.id)
    if problems := [*_twice(ordered), *_same_ids(ordered)]:
        raise PackError(problems)
    data = {
        "packs": {pack.id: pack.version for pack in ordered},
        "rules": _rules(ordered),
        "exceptions": {k: v for pack in ordered for k, v in pack.data["exceptions"].items()},
    }
    phrases = {id: those for pack in ordered for id, those in pack.phrases.items()}
    whole = revision(data, phrases)
    return Ruleset(
        packs={pack.id: Composed(pack.version, pack.digest) for pack in ordered},
        revision=whole,
        data={**data, "revision": whole},
        phrases=phrases,
        reads=frozenset().union(*(pack.reads for pack in ordered)),
        instants=tuple(sorted({moment for pack in ordered for moment in pack.instants})),
        custom=_custom(ordered),
    )


def _custom(packs: Sequence[Pack]) -> tuple[CustomKind, ...]:
    """What two packs bring with the same text is one module."""
    by_module = {kind.module: kind for pack in packs for kind in pack.custom}
    return tuple(by_module[name] for name in sorted(by_module))


def _rules(packs: Sequence[Pack]) -> dict[str, dict[str, Any]]:
    by_kind: dict[str, dict[str, Any]] = {}
    for pack in packs:
        for kind, rules in pack.data["rules"].items():
            by_kind.setdefault(kind, {}).update(rules)
    return by_kind


def _twice(packs: Sequence[Pack]) -> Iterator[Problem]:
    for pack, following in pairwise(packs):
        if pack.id == following.id:
            yield Problem.at(
                replace(following.source.manifest.place(["id"]), rule=None), Code.PACK_TWICE,
                f"the pack {pack.id!r} is given twice",
                why="Two versions of a pack cannot be in force for the same request.",
                fix="Leave one of them out, or give one another id.",
            )  # fmt: skip


def _same_ids(packs: Sequence[Pack]) -> Iterator[Problem]:
    """Ids that two packs give to a thing of the same sort."""
    known: dict[tuple[str, str], tuple[str, Place]] = {}
    for pack in packs:
        for sort, id, place in _named(pack):
            other, first = known.setdefault((sort, id), (pack.id, place))
            if other == pack.id:
                continue
            yield Problem.at(
                replace(place, file=f"{pack.id}/{place.file}"), Code.ID_IN_TWO_PACKS,
                f"the packs {other!r} and {pack.id!r} both have {sort} {id!r}",
                why="An id names one thing everywhere: in records, exceptions and reports.",
                fix="Give one of them another id. The other stands in "
                f"{other}/{first.file}, line {first.line}.",
            )  # fmt: skip


def _named(pack: Pack) -> Iterator[tuple[str, str, Place]]:
    source = pack.source
    for sort, documents in (("a rule", source.rules), ("a list", source.lists)):
        for document in documents:
            yield sort, document.value["id"], document.place(["id"])
    exceptions: Document = source.exceptions
    for at, exception in enumerate(exceptions.value):
        yield "an exception", exception["id"], exceptions.place([at, "id"])
