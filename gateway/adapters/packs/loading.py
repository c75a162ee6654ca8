"""From the files of a pack to the pack, checked; or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gateway.adapters.packs.custom import CustomKind
from gateway.adapters.packs.facts import instants, reads, revision
from gateway.adapters.packs.folder import digest_of
from gateway.adapters.packs.problems import PackError
from gateway.adapters.packs.references import mistakes
from gateway.adapters.packs.schema import Json, filled, like, moment
from gateway.adapters.packs.source import Source, source_of
from gateway.core.policies import PackFiles


@dataclass(frozen=True)
class Pack:
    """A policy pack, checked."""

    digest: str
    """`sha256:…` over its files: the name of this version of it."""
    source: Source
    """Its documents, each with the places of its parts."""

    @property
    def id(self) -> str:
        return str(self.source.manifest.value["id"])

    @property
    def version(self) -> str:
        return str(self.source.manifest.value["version"])

    @cached_property
    def revision(self) -> str:
        """`sha256:…` over what is decided by: the rules, the lists, and the compiled library
        that interprets them."""
        return revision(self._decided, self.phrases)

    @property
    def data(self) -> Mapping[str, Any]:
        """What engines hold as `data.pack` when this pack is in force alone."""
        return {**self._decided, "revision": self.revision}

    @cached_property
    def _decided(self) -> Json:
        return {
            "packs": {self.id: self.version},
            "rules": _by_kind(self._live),
            "exceptions": _by_rule(self._waived),
        }

    @cached_property
    def phrases(self) -> Mapping[str, tuple[str, ...]]:
        """The phrases of each list, by its id: for the inspector that looks for them."""
        found: dict[str, dict[str, None]] = {}
        for entry in self.source.lists:
            told = [phrase for some in entry.value["phrases"].values() for phrase in some]
            found.setdefault(entry.value["id"], {}).update(dict.fromkeys(told))
        return {id: tuple(phrases) for id, phrases in found.items()}

    @cached_property
    def reads(self) -> frozenset[str]:
        """The facts of a question that the rules look at, as dotted paths; `*` is each of a
        list."""
        return reads(self._live, self._waived)

    @cached_property
    def instants(self) -> tuple[str, ...]:
        """The moments at which a rule or an exception begins or ends to hold, ascending."""
        return instants(self._live, self._waived)

    @property
    def custom(self) -> Sequence[CustomKind]:
        """The kinds that it brings and that its rules are of, in order of their names."""
        used = {rule["kind"] for rule in self._live}
        return [kind for name, kind in sorted(self.source.custom.items()) if name in used]

    @property
    def tables(self) -> tuple[Mapping[str, Any], ...]:
        """The pack's test tables, as they stand in tests/*.yaml."""
        return tuple(table.value for table in self.source.tables)

    @property
    def rules(self) -> Mapping[str, Json]:
        """Every rule as it was written, by its id; those that are off too."""
        return {rule.value["id"]: rule.value for rule in self.source.rules}

    @property
    def exceptions(self) -> Sequence[Json]:
        """Every exception as it was written."""
        written: list[Json] = self.source.exceptions.value
        return written

    def attached(self, rule: str) -> Sequence[Json] | None:
        """Where the attachments put a rule: any of these. None: wherever the rule says."""
        if self.source.attachments is None:
            return None
        return [
            attachment["when"]
            for attachment in self.source.attachments.value
            if any(like(pattern, rule) for pattern in attachment.get("rules", ["*"]))
        ]

    @cached_property
    def _live(self) -> Sequence[Json]:
        """The rules that engines are given: none that is off."""
        on = [rule for rule in self.rules.values() if rule["mode"] != "off"]
        return [self._interpreted(filled(rule, self.attached(rule["id"]))) for rule in on]

    def _interpreted(self, rule: Json) -> Json:
        """A rule of a kind that the pack brings says which module interprets it."""
        kind = self.source.custom.get(rule["kind"])
        return rule if kind is None else {**rule, "module": kind.module}

    @cached_property
    def _waived(self) -> Sequence[Json]:
        live = {rule["id"] for rule in self._live}
        return [exception for exception in self.exceptions if exception["rule"] in live]


def load_pack(files: PackFiles) -> Pack:
    """The pack whose files these are.

    Raises `PackError`, which names file, line and rule of everything that is wrong.
    """
    source = source_of(files)
    if problems := list(mistakes(source)):
        raise PackError(problems)
    return Pack(digest_of(files), source)


def _by_kind(rules: Sequence[Json]) -> Json:
    kinds: Json = {}
    for rule in rules:
        kinds.setdefault(rule["kind"], {})[rule["id"]] = {k: rule[k] for k in rule if k != "id"}
    return kinds


def _by_rule(exceptions: Sequence[Json]) -> Json:
    by_rule: Json = {}
    for exception in exceptions:
        by_rule.setdefault(exception["rule"], {})[exception["id"]] = {
            "until": moment(exception["until"]),
            "when": exception["when"],
        }
    return by_rule
