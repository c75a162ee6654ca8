"""Rules as people read them: one plain sentence for each, made from its data alone.

They stand in lists, comparisons, approvals and records. What a caller is told (`message`), the
`severity` and the `code` of a rule are not in its sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import orjson

from gateway.adapters.packs import words_en, words_fr
from gateway.adapters.packs.loading import Pack
from gateway.adapters.packs.schema import Json, with_defaults

Locale: TypeAlias = Literal["en", "fr"]

LOCALES: Mapping[str, Mapping[str, str]] = {"en": words_en.WORDS, "fr": words_fr.WORDS}
_TIMES = ((3600, "hour"), (60, "minute"), (1, "second"))


def sentence(rule: Json, locale: Locale, attached: Sequence[Json] | None = None) -> str:
    """What a rule of a checked pack does, in a sentence or a few.

    `attached` is where the attachments of its pack put it: None when the pack has none. Raises
    `ValueError` for a language that is not there.
    """
    words = _Words(locale)
    full = with_defaults(rule)
    demand = words.scope(full["when"]) + _KINDS[full["kind"].partition(":")[0]](words, full)
    valid = full["valid"]
    for end in ("from", "until"):
        if valid.get(end):
            demand += words.say(end, time=words.time(valid[end]))
    after = [words.say(full["mode"])] if full["mode"] != "enforce" else []
    after += [words.say("floor")] if full["floor"] else []
    after += [words.attached(attached)] if attached is not None else []
    return " ".join([f"{_capital(demand)}.", *after])


def exception_sentence(exception: Json, locale: Locale) -> str:
    """Who is excepted from what, until when and why."""
    words = _Words(locale)
    why = str(exception["why"]).strip()
    said = words.say(
        "exception",
        rule=exception["rule"],
        places=words.places(exception["when"]) or words.say("everyone"),
        time=words.time(exception["until"]),
        why=why if why.endswith((".", "!", "?")) else f"{why}.",
        person=exception["approved_by"],
    )
    return _capital(said)


def sentences(pack: Pack, locale: Locale) -> Mapping[str, str]:
    """A sentence for every rule, by its id, and for every exception, by `exception:` and its id.

    Where the attachments of the pack put a rule is in the rule's own.
    """
    said = {id: sentence(rule, locale, pack.attached(id)) for id, rule in pack.rules.items()}
    for exception in pack.exceptions:
        said[f"exception:{exception['id']}"] = exception_sentence(exception, locale)
    return said


class _Words:
    """A language's words, put together."""

    def __init__(self, locale: str) -> None:
        if locale not in LOCALES:
            raise ValueError(f"there are no sentences in {locale!r}: {', '.join(LOCALES)}")
        self._words = LOCALES[locale]

    def say(self, key: str, **parts: object) -> str:
        return self._words[key].format(**parts)

    def any_of(self, names: Iterable[str]) -> str:
        return self._joined(list(names), "or")

    def all_of(self, names: Iterable[str]) -> str:
        return self._joined(list(names), "and")

    def _joined(self, names: list[str], last: str) -> str:
        *some, end = names
        return f"{', '.join(some)}{self.say(last)}{end}" if some else end

    def quoted(self, text: str) -> str:
        return self.say("quoted", text=text)

    def number(self, value: float) -> str:
        return f"{value:g}".replace(".", self.say("point"))

    def time(self, moment: str) -> str:
        """A moment, to the minute; a midnight to the day."""
        day, _, hour = moment.removesuffix("Z").partition("T")
        return day if hour == "00:00:00" else f"{day} {hour} UTC"

    def places(self, when: Mapping[str, Sequence[str]]) -> str:
        """Where something applies; empty where that is everywhere."""
        parts = [self.say(name, names=self.any_of(those)) for name, those in when.items()]
        return self.say("only").join(parts)

    def scope(self, when: Mapping[str, Sequence[str]]) -> str:
        places = self.places(when)
        return self.say("for", places=places) if places else ""

    def attached(self, places: Sequence[Mapping[str, Sequence[str]]]) -> str:
        if not places:
            return self.say("attached.nowhere")
        said = [self.places(when) or self.say("everyone") for when in places]
        return self.say("attached", places=self.say("attached.or").join(said))

    def sure(self, score: float) -> str:
        return self.say("sure", score=self.number(score)) if score else ""

    def lasting(self, seconds: int) -> str:
        unit, name = next((size, name) for size, name in _TIMES if seconds % size == 0)
        count = seconds // unit
        return self.say(name) if count == 1 else self.say(f"{name}s", count=count)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _model_access(words: _Words, rule: Json) -> str:
    models, most = rule["params"]["models"], rule["params"]["max_output_tokens"]
    any_model = "*" in models
    said = (
        words.say("model.any") if any_model else words.say("model.some", names=words.all_of(models))
    )
    return said + (words.say("model.most", count=most) if most else "")


def _tool_access(words: _Words, rule: Json) -> str:
    allow, deny = rule["params"]["allow"], rule["params"]["deny"]
    refused = []
    if "*" not in allow:
        refused.append(words.say("tool.other", names=words.all_of(allow)))
    if deny:
        everything = "*" in deny
        refused.append(
            words.say("tool.any") if everything
            else words.say("tool.one", names=words.any_of(deny))
        )  # fmt: skip
    what = words.any_of(refused) if refused else words.say("tool.other", names="*")
    return words.say("tool", what=what, do=words.say(f"tool.{rule['on_match']}"))


def _found(words: _Words, rule: Json) -> str:
    params = rule["params"]
    names = [params["list"]] if rule["kind"] == "phrase" else params["labels"]
    return words.say(
        f"found.{params['direction']}",
        what=words.say(rule["kind"], names=words.any_of(names)),
        sure=words.sure(params["min_score"]),
        do=words.say(f"do.{rule['on_match']}"),
        unit=words.say(f"unit.{params['unit']}"),
    )


def _opaque(words: _Words, rule: Json) -> str:
    params, on_match = rule["params"], rule["on_match"]
    do = (
        words.say("opaque.label", labels=words.all_of(params["labels"]))
        if on_match == "label"
        else words.say(f"do.{on_match}")
    )
    names = words.any_of(words.say(f"modality.{part}") for part in params["modalities"])
    return words.say(f"opaque.{params['direction']}", names=names, do=do)


def _unavailable(words: _Words, rule: Json) -> str:
    names = rule["params"]["inspectors"]
    what = (
        words.say("unavailable.any")
        if "*" in names
        else words.say("unavailable.some", names=words.any_of(names))
    )
    return words.say("unavailable", what=what, do=words.say(f"unavailable.{rule['on_error']}"))


def _label(words: _Words, rule: Json) -> str:
    return words.say("label", labels=words.all_of(rule["params"]["labels"]))


def _cache(words: _Words, rule: Json) -> str:
    return words.say("cache", time=words.lasting(rule["params"]["seconds"]))


def _residency(words: _Words, rule: Json) -> str:
    params = rule["params"]
    lists: Sequence[tuple[str, Callable[[Iterable[str]], str]]] = (
        ("hosting", words.any_of), ("region", words.any_of),
        ("providers", words.any_of), ("tags", words.all_of),
    )  # fmt: skip
    where = [
        words.say(f"residency.{name}", names=join(params[name]))
        for name, join in lists
        if params[name]
    ]
    said: dict[str, Any] = {"where": words.all_of(where)}
    if not params["labels"]:
        return words.say("residency.always", **said)
    found = words.say("pii", names=words.any_of(params["labels"]))
    return words.say("residency.found", what=found, sure=words.sure(params["min_score"]), **said)


def _response(words: _Words, rule: Json) -> str:
    how, message = rule["params"]["how"], rule["params"]["message"]
    said = words.say("response", how=words.say(f"response.{how}"))
    return said + (words.say("response.text", text=words.quoted(message)) if message else "")


def _identifier(words: _Words, rule: Json) -> str:
    return words.say("identifier")


def _custom(words: _Words, rule: Json) -> str:
    name = rule["kind"].partition(":")[2]
    given = [f"{key} = {orjson.dumps(value).decode()}" for key, value in rule["params"].items()]
    with_them = words.say("custom.with", params=", ".join(given)) if given else ""
    return words.say("custom", name=name, params=with_them, do=words.say(f"do.{rule['on_match']}"))


_KINDS: Mapping[str, Callable[[_Words, Json], str]] = {
    "model_access": _model_access,
    "tool_access": _tool_access,
    "pii": _found,
    "secret": _found,
    "phrase": _found,
    "opaque": _opaque,
    "unavailable": _unavailable,
    "label": _label,
    "cache": _cache,
    "residency": _residency,
    "response": _response,
    "identifier": _identifier,
    "custom": _custom,
}
