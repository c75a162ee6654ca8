"""Advice on a pack that can be used: what is in it without effect, out of date, or untested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime

from gateway.adapters.packs.lint_rules import overlaps, without_effect
from gateway.adapters.packs.loading import Pack
from gateway.adapters.packs.problems import Code, Problem
from gateway.adapters.packs.suggestions import nearest


def unknown_labels(pack: Pack, labels: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    """Labels that no inspector would ever put on a finding.

    `labels` are those that inspectors know, by the kind of rule that speaks of them. A kind that
    is missing is not looked at; one without labels has no inspector.
    """
    for rule in pack.source.rules:
        kind = rule.value["kind"]
        known = _known(pack, kind, labels)
        if known is None:
            continue
        for at, label in enumerate(rule.value["params"].get("labels") or ()):
            if known and label not in known:
                yield Problem.at(
                    rule.place(["params", "labels", at]), Code.UNKNOWN_LABEL,
                    f"unknown label {label!r}", why="The rule would never find it.",
                    fix=f"Choose one of the {len(known)} that there are: govgate policy entities.",
                    similar=nearest(label, known),
                )  # fmt: skip
        if not known:
            yield Problem.at(
                rule.place(["kind"]), Code.LABEL_OF_NO_INSPECTOR,
                f"nothing that is built in finds what rules of kind {kind!r} look for",
                why="Until an inspector is added that does, the rule finds nothing.",
                fix="Do not rely on this rule, or switch it off.",
            )  # fmt: skip


def _known(pack: Pack, kind: str, labels: Mapping[str, Collection[str]]) -> Collection[str] | None:
    """The labels that rules of a kind may speak of; None when any will do."""
    if kind != "residency":
        return labels.get(kind)
    if "pii" not in labels:
        return None
    parts = {"image", "audio", "file", "url", "video", "vector"}
    return {label for some in labels.values() for label in some} | parts | set(pack.phrases)


def advice(pack: Pack, now: datetime | None = None) -> Iterator[Problem]:
    """Everything of the sort. `now` is the moment that is taken for the present."""
    moment = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    yield from _over(pack, moment)
    yield from _idle_exceptions(pack)
    yield from _not_attached(pack)
    yield from _untested(pack)
    yield from _untranslated(pack)
    yield from _unused_lists(pack)
    yield from _tests_twice(pack)
    yield from without_effect(pack)
    yield from overlaps(pack)


def _over(pack: Pack, now: str) -> Iterator[Problem]:
    for rule in pack.source.rules:
        until = rule.value.get("valid", {}).get("until")
        if until and until <= now and rule.value["mode"] != "off":
            yield Problem.at(
                rule.place(["valid", "until"]), Code.EXPIRED_RULE,
                f"the rule ended on {until[:10]}", why="It is not in force any more.",
                fix="Remove the rule, or give it a later end.",
            )  # fmt: skip
    for at, exception in enumerate(pack.exceptions):
        if exception["until"] <= now:
            yield Problem.at(
                pack.source.exceptions.place([at, "until"]), Code.EXPIRED_EXCEPTION,
                f"the exception ended on {exception['until'][:10]}",
                why="It has no effect any more, and hides those that have.",
                fix="Remove it, or have somebody approve a later end.",
            )  # fmt: skip


def _idle_exceptions(pack: Pack) -> Iterator[Problem]:
    for at, exception in enumerate(pack.exceptions):
        mode = pack.rules[exception["rule"]]["mode"]
        if mode != "enforce":
            yield Problem.at(
                pack.source.exceptions.place([at, "rule"]), Code.EXCEPTION_TO_NOTHING,
                f"the rule {exception['rule']!r} is in mode {mode!r}",
                why="An exception to a rule that is not enforced has no effect.",
                fix="Remove the exception, or enforce the rule.",
            )  # fmt: skip


def _not_attached(pack: Pack) -> Iterator[Problem]:
    for rule in pack.source.rules:
        if pack.attached(rule.value["id"]) == [] and rule.value["mode"] != "off":
            yield Problem.at(
                rule.place(["id"]), Code.NOT_ATTACHED, "no attachment names this rule",
                why="A pack with attachments.yaml applies only where that says: this rule nowhere.",
                fix="Name the rule in attachments.yaml, or switch it off.",
            )  # fmt: skip


def _untested(pack: Pack) -> Iterator[Problem]:
    named = {
        rule
        for table in pack.tables
        for case in table["cases"]
        for field in ("rules", "observed", "overridden")
        for rule in case["expect"].get(field, ())
    }
    for rule in pack.source.rules:
        if rule.value["mode"] == "enforce" and rule.value["id"] not in named:
            yield Problem.at(
                rule.place(["mode"]), Code.UNTESTED, "the rule is enforced without a test",
                why="Nobody would notice when a change keeps it from doing what it should.",
                fix="Add a case to tests/ whose `expect` names the rule under `rules`.",
            )  # fmt: skip


def _untranslated(pack: Pack) -> Iterator[Problem]:
    """Messages without a language that most of the pack's messages have."""
    spoken = Counter(locale for rule in pack.rules.values() for locale in rule["message"])
    usual = {locale for locale, count in spoken.items() if count * 2 > len(pack.rules)}
    for rule in pack.source.rules:
        if missing := sorted(usual - set(rule.value["message"])):
            yield Problem.at(
                rule.place(["message"]), Code.MISSING_LOCALE,
                f"the message is not there in: {', '.join(missing)}",
                why="Most messages of this pack are; readers of these languages get English here.",
                fix="Add the message in these languages.",
            )  # fmt: skip


def _unused_lists(pack: Pack) -> Iterator[Problem]:
    used = {rule["params"].get("list") for rule in pack.rules.values() if "params" in rule}
    used |= {
        label
        for rule in pack.rules.values()
        if rule["kind"] == "residency"
        for label in rule["params"].get("labels") or ()
    }
    for id in sorted(set(pack.phrases) - used):
        entry = next(entry for entry in pack.source.lists if entry.value["id"] == id)
        yield Problem.at(
            entry.place(["id"]), Code.UNUSED_LIST, "no rule names this list",
            why="Its phrases are looked for, and nothing comes of it.",
            fix="Name it in a rule of kind phrase, or remove it.",
        )  # fmt: skip


def _tests_twice(pack: Pack) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for table in pack.source.tables:
        for at, case in enumerate(table.value["cases"]):
            name = (table.value["suite"], case["name"])
            if name in seen:
                yield Problem.at(
                    table.place(["cases", at, "name"]), Code.TEST_TWICE,
                    f"a case of this suite is called {case['name']!r} already",
                    why="When one of them fails, nobody can tell which.",
                    fix="Give one of them another name.",
                )  # fmt: skip
            seen.add(name)
