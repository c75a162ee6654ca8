"""Every route of an application, and what stands between it and a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from litestar import Litestar
from litestar.routes import ASGIRoute, HTTPRoute

from gateway.core.dialect import Dialect

POSTURE = "posture"
"""The option of a route handler that holds its `Posture`."""
DIALECT = "dialect"
"""The option that holds the `Dialect` of a governed one."""


class Posture(StrEnum):
    """What stands between a route and a model."""

    GOVERNED = "governed"  # every request is an exchange, through all stages
    CONTROL = "control"  # needs a key or a role; calls no model
    HEALTH = "health"  # open; says nothing about anybody


class UndeclaredRoute(TypeError):
    """A route that nobody has said anything about. It must not be served."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path, the methods it takes, and its posture; `dialect` where it is governed."""

    path: str
    methods: tuple[str, ...]
    posture: Posture
    dialect: Dialect | None = None


def census(app: Litestar) -> list[Route]:
    """The routes of `app` by path. Raises `UndeclaredRoute` for one without a posture, and for
    a governed one without a dialect."""
    return sorted(_routes(app), key=lambda route: (route.path, route.methods))


def _routes(app: Litestar) -> Iterator[Route]:
    for route in app.routes:
        if isinstance(route, ASGIRoute):
            yield _declared(route.path, ("POST",), route.route_handler.opt)
        elif isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                methods = tuple(sorted(map(str, handler.http_methods)))
                if methods != ("OPTIONS",):  # the framework's own, which lists the methods
                    yield _declared(route.path, methods, handler.opt)
        else:
            raise UndeclaredRoute(f"{route.path}: a web socket would pass every stage by")


def _declared(path: str, methods: tuple[str, ...], options: dict[str, object]) -> Route:
    posture, dialect = options.get(POSTURE), options.get(DIALECT)
    if not isinstance(posture, Posture):
        raise UndeclaredRoute(f"{path}: it has no posture")
    if posture is not Posture.GOVERNED:
        return Route(path, methods, posture)
    if dialect is None:
        raise UndeclaredRoute(f"{path}: it is governed, and has no dialect")
    return Route(path, methods, posture, cast(Dialect, dialect))
