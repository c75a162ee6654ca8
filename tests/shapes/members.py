"""A value held against a model of an official package: strictly, member by member.

The packages build their models without looking; here every type counts, nothing is converted,
and what the API promises must be there, also where the package lets it be left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson
from anthropic import types as claude
from openai.types import CompletionChoice, completion_usage
from openai.types.chat import ChatCompletion, ChatCompletionMessage, chat_completion
from openai.types.responses import Response
from pydantic import BaseModel, TypeAdapter, ValidationError


class OutOfShape(AssertionError):
    """What the API's description does not allow."""


ALWAYS: dict[type[BaseModel], frozenset[str]] = {
    chat_completion.Choice: frozenset({"logprobs"}),
    ChatCompletionMessage: frozenset({"content", "refusal"}),
    CompletionChoice: frozenset({"logprobs"}),
    Response: frozenset(
        {"error", "incomplete_details", "instructions", "metadata", "temperature", "top_p"}
    ),
    claude.Message: frozenset({"stop_reason", "stop_sequence"}),
}
"""Members that may be null, and must be there all the same."""

NEVER_NULL: dict[type[BaseModel], frozenset[str]] = {
    ChatCompletion: frozenset({"usage"}),
    ChatCompletionMessage: frozenset({"annotations", "function_call", "tool_calls"}),
    completion_usage.CompletionUsage: frozenset(
        {"completion_tokens_details", "prompt_tokens_details"}
    ),
}
"""Members that may be left out, and are not null where they stand."""


def held(model: Any, value: Any) -> Any:
    """`value` as `model` has it. Raises `OutOfShape`, which says where it is not so."""
    try:
        made = _adapter(model).validate_json(orjson.dumps(value), strict=True)
    except ValidationError as error:
        faults = [f"{_place(fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        raise OutOfShape(f"{'; '.join(faults)} in {value!r}") from None
    for where, part in _models(made, "$"):
        absent = _named(ALWAYS, part) - part.model_fields_set
        if absent:
            raise OutOfShape(f"{where}: {sorted(absent)} left out of {value!r}")
        kept = _named(NEVER_NULL, part) & part.model_fields_set
        if null := sorted(name for name in kept if getattr(part, name) is None):
            raise OutOfShape(f"{where}: {null} null in {value!r}")
    return made


def _named(rules: dict[type[BaseModel], frozenset[str]], part: BaseModel) -> frozenset[str]:
    """The members that rules name, of a model and of those that it extends."""
    found = (rules.get(kind, frozenset()) for kind in type(part).__mro__)
    return frozenset[str]().union(*found)


def require(holds: bool, what: str, value: Any) -> None:
    """Raise `OutOfShape`, which says `what` should be so of `value`, unless it `holds`."""
    if not holds:
        raise OutOfShape(f"{what}: {value!r}")


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def _place(steps: tuple[int | str, ...]) -> str:
    return "/".join(str(step) for step in steps) or "$"


def _models(value: Any, where: str) -> Iterator[tuple[str, BaseModel]]:
    """Every model inside `value`, with its place."""
    if isinstance(value, BaseModel):
        yield where, value
        for name in value.model_fields_set & type(value).model_fields.keys():
            yield from _models(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _models(item, f"{where}[{place}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _models(item, f"{where}.{name}")
