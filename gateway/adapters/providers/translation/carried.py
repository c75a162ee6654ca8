"""Telling what of a request can be carried over, and refusing the rest by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from gateway.core.errors import Malformed


def refused(where: str) -> Malformed:
    """The error for a member that the provider's API has no place for."""
    return Malformed(
        f"'{where}' cannot be carried over to the provider of this model.", param=where
    )


def within(where: str, name: str) -> str:
    """The place of the member `name` of what stands at `where`."""
    return f"{where}.{name}" if where else name


def only(holder: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Raise `Malformed` for a member that is not `known`. One that is null says nothing."""
    for name, value in holder.items():
        if name not in known and value is not None:
            raise refused(within(where, name))


def obj(value: object, where: str) -> dict[str, Any]:
    """`value`, when it is an object. Raises `Malformed`."""
    if not isinstance(value, dict):
        raise Malformed(f"'{where}' must be an object.", param=where)
    return value


def objects(value: object, where: str) -> list[dict[str, Any]]:
    """`value`, when it is an array of objects. Raises `Malformed`."""
    if not isinstance(value, list):
        raise Malformed(f"'{where}' must be an array.", param=where)
    return [obj(item, f"{where}[{index}]") for index, item in enumerate(value)]


def text(holder: Mapping[str, Any], name: str, where: str) -> str:
    """The string at `holder[name]`. Raises `Malformed`."""
    value = holder.get(name)
    if not isinstance(value, str):
        raise Malformed(f"'{within(where, name)}' must be a string.", param=within(where, name))
    return value


def flag(holder: Mapping[str, Any], name: str, where: str) -> bool:
    """The boolean at `holder[name]`, False when there is none. Raises `Malformed`."""
    value = holder.get(name)
    if value is not None and not isinstance(value, bool):
        raise Malformed(f"'{within(where, name)}' must be a boolean.", param=within(where, name))
    return value is True


def number(holder: Mapping[str, Any], name: str, most: float) -> float | None:
    """The number from 0 to `most` at `holder[name]`, if there is one. Raises `Malformed`."""
    value = holder.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise Malformed(f"'{name}' must be a number from 0 to {most:g} here.", param=name)
    return value


def one_of(value: object, known: Mapping[str, str], where: str) -> str:
    """What the word `value` is called over there. Raises `Malformed`."""
    if not isinstance(value, str) or value not in known:
        raise refused(where)
    return known[value]
