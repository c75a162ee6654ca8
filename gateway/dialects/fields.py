"""Members of a request as the small dialects see them: their types, and the text in them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

from gateway.core.errors import Malformed
from gateway.core.names import named
from gateway.core.passages import Slot
from gateway.dialects.places import KNOWN, is_number, nested, once
from gateway.dialects.vocabulary import VOCABULARY

LONGEST_MODEL = 256
MOST_TEXTS = 2_048

Types: TypeAlias = Mapping[str, tuple[type, ...]]
"""The types that a member may have, by its name. Each may also be null."""

_OTHER_MODELS = ("models", "fallbacks", "route")
"""Members by which OpenRouter and LiteLLM are told what to call in the model's place."""

_JSON_NAMES: Mapping[type, str] = {
    bool: "a boolean",
    int: "an integer",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def checked(body: object, types: Types) -> dict[str, Any]:
    """`body`, when it is an object that names one model and keeps to `types`.

    Raises `Malformed`, naming the member. What `types` does not name is for the provider to
    judge.
    """
    if not isinstance(body, dict):
        raise Malformed("The body must be an object.")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Malformed("'model' must be a non-empty string.", param="model")
    if len(model) > LONGEST_MODEL:
        raise Malformed(f"'model' may have {LONGEST_MODEL} characters.", param="model")
    one_model(body)
    for name, value in body.items():
        if name in types and value is not None:
            typed(value, types[name], name)
    return body


def one_model(request: Mapping[str, Any]) -> None:
    """Raises `Malformed` for a request that names models beside `model`."""
    for name in _OTHER_MODELS:
        if request.get(name) is not None:
            message = f"'{name}' names a model that the policy was not asked about."
            raise Malformed(message, param=name)


def typed(value: object, types: tuple[type, ...], where: str) -> None:
    """Raises `Malformed` unless `value` has one of `types`; a boolean is no integer."""
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        names = " or ".join(_JSON_NAMES[kind] for kind in types)
        raise Malformed(f"'{where}' must be {names}.", param=where)


def between(value: int | None, least: int, most: int, where: str) -> None:
    """Raises `Malformed` for a number that is out of bounds; null is the provider's default."""
    if value is not None and not least <= value <= most:
        raise Malformed(f"'{where}' must be between {least} and {most}.", param=where)


def texts(value: object, where: str) -> list[str]:
    """The texts of a member that is a string or an array of strings.

    Raises `Malformed` for anything else. Token ids too are refused: they spell text out that
    no rule could read.
    """
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed:
        raise Malformed(f"'{where}' must be a string or a non-empty array.", param=where)
    if len(listed) > MOST_TEXTS:
        raise Malformed(f"'{where}' may hold at most {MOST_TEXTS}.", param=where)
    for item in listed:
        if isinstance(item, int | list):
            raise Malformed(f"'{where}' must be text: token ids cannot be governed.", param=where)
        if not isinstance(item, str):
            raise Malformed(f"'{where}' must hold strings only.", param=where)
    return listed


def slots(request: dict[str, Any], known: Collection[str]) -> Iterator[Slot]:
    """Every text of a request but the model's name, and every name that the API did not give.

    Also that of members that are not `known` here: who reads them is not known either. Such
    members are numbered, not named: their names are the caller's text.
    """
    given = VOCABULARY if VOCABULARY.issuperset(known) else VOCABULARY.union(known)
    return once(named(request, "", "user", _slots(request, given), given))


def _slots(request: dict[str, Any], given: Collection[str]) -> Iterator[Slot]:
    for index, name in enumerate(request):
        if name not in given:
            yield from nested(request, name, f"/#{index}", "user")
        elif name != "model" and not is_number(request, name):
            yield from nested(request, name, f"/{name}", "user", KNOWN)
