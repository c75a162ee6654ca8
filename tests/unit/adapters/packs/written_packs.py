"""Sound packs written in many ways: comments, quotes, brackets, blank lines, line breaks."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from gateway.core.policies import PackFiles

_WORDS = ["Personal data", "Names", "It's a rule", "Données, pas d'autres"]
_IN_QUOTES = ["a: b", "off", "12", "#1"]
_LABELS = ["EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE", "URL_CREDENTIALS"]
_COMMENTS = ["", "", "", "# A remark: [not] {this}", "#- id: x", ""]


def written_packs() -> st.SearchStrategy[PackFiles]:
    """Packs with one or two files of rules, a list, and tests; some with exceptions."""
    return _packs()


@st.composite
def _packs(draw: st.DrawFn) -> PackFiles:
    newline = draw(st.sampled_from(["\n", "\n", "\n", "\r\n"]))
    found = {
        "pack.yaml": "id: mine\nversion: 1.0.0\ntitle: Mine\npolicy_api: 1\n",
        "rules/a.yaml": _file(draw, ["first", "second", "third"][: draw(st.integers(1, 3))]),
        "rules/b.yaml": _file(draw, ["other"]),
        "lists/rude.yaml": "\n".join(_list(draw)) + "\n",
        "tests/a.yaml": "\n".join(_tests(draw)) + "\n",
    }
    if draw(st.booleans()):
        found["exceptions.yaml"] = draw(st.sampled_from(["[]\n", "# None.\n[]\n", "# x\n[]"]))
    return {name: text.replace("\n", newline) for name, text in found.items()}


def _file(draw: st.DrawFn, ids: Sequence[str]) -> str:
    separator = draw(st.sampled_from(["\n---\n", "\n\n---\n", "\n# The next:\n---\n"]))
    head = draw(st.sampled_from(["", "# Head\n\n", "---\n", "# Head\n---\n"]))
    end = draw(st.sampled_from(["\n", "\n", "", "\n\n", "\n# The end.\n"]))
    return head + separator.join("\n".join(_rule(draw, id)) for id in ids) + end


def _rule(draw: st.DrawFn, id: str) -> list[str]:
    lines = [
        f"id: {id}",
        f"title: {_text(draw)}",
        "kind: pii",
        f"mode: {_quoted(draw, 'enforce')}",
    ]
    if draw(st.booleans()):
        lines.insert(2, f"why:  {_text(draw)}")
    lines += ["params:", *_params(draw), "on_match: mask", *_message(draw)]
    return [line for line in lines for line in _remarked(draw, line)]


def _params(draw: st.DrawFn) -> list[str]:
    labels = draw(st.lists(st.sampled_from(_LABELS), min_size=1, unique=True))
    lines = [f"  direction: {_quoted(draw, 'input')}"]
    if draw(st.booleans()):
        return [*lines, f"  labels: [{', '.join(_quoted(draw, label) for label in labels)}]"]
    indent = draw(st.sampled_from(["  ", "    "]))
    return [*lines, "  labels:", *(f"{indent}- {_quoted(draw, label)}" for label in labels)]


def _message(draw: st.DrawFn) -> list[str]:
    en = _quoted(draw, "Masked.")
    return draw(
        st.sampled_from(
            [[f"message: {{en: {en}}}"], ["message:", f"  en: {en}"], [f"message: {{ en: {en} }}"]]
        )
    )


def _list(draw: st.DrawFn) -> list[str]:
    if draw(st.booleans()):
        return ["id: rude", "title: Rude", "phrases: {en: [oaf, 'a lout']}"]
    lines = [
        "id: rude",
        "title: Rude",
        "phrases:",
        "  en:",
        "  - oaf",
        "  - 'a lout'",
        "  fr: [mufle]",
    ]
    return [line for line in lines for line in _remarked(draw, line)]


def _tests(draw: st.DrawFn) -> list[str]:
    lines = ["suite: s", "cases:", "  - name: one", "    given: {}", "    expect: {effect: deny}"]
    return [line for line in lines for line in _remarked(draw, line)]


def _remarked(draw: st.DrawFn, line: str) -> list[str]:
    """A line with a remark above or behind it, or without."""
    comment = draw(st.sampled_from(_COMMENTS))
    if not comment:
        return [line]
    return [comment, line] if draw(st.booleans()) else [f"{line}  {comment}"]


def _text(draw: st.DrawFn) -> str:
    word = draw(st.sampled_from([*_WORDS, *_IN_QUOTES]))
    if word in _IN_QUOTES:
        return f'"{word}"'
    return _quoted(draw, word)


def _quoted(draw: st.DrawFn, word: str) -> str:
    doubled = word.replace("'", "''")
    return draw(st.sampled_from([word, f'"{word}"', f"'{doubled}'"]))
