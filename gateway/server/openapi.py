"""The control plane as OpenAPI 3.1 describes it: read off the routes, not written by hand.

Paths, methods and path parameters are the router's; the summary is the handler's docstring; what
else is said stands beside the handler, as `Says`. A route that says nothing is still there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from gateway.server.described import SAYS, TEXT, Param, Says, Schema
from gateway.server.shapes import PROBLEM

PATH = "/api/v1/openapi.json"
_CONTROL = "/api/v1/"
_SCHEMAS = "#/components/schemas/{name}"
_PROBLEM = {"$ref": "#/components/responses/Problem"}
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "api-key": {"type": "apiKey", "in": "header", "name": "api-key"},
}


class Problem(msgspec.Struct, frozen=True):
    """Problem details (RFC 9457), with a stable `code`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str


def document(app: Litestar) -> dict[str, Any]:
    """What `GET /api/v1/openapi.json` answers."""
    found = list(operations(app))
    spoken = [says for _, _, handler in found if (says := _says(handler)) is not None]
    said = [each for says in spoken for each in (says.answer, says.takes)]
    structs = sorted({Problem, *(each for each in said if isinstance(each, type))}, key=str)
    schemas, components = msgspec.json.schema_components(structs, ref_template=_SCHEMAS)
    named: dict[type, Schema] = dict(zip(structs, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for path, method, handler in found:
        paths.setdefault(path, {})[method] = _operation(path, method, handler, named)
    told = {
        "openapi": "3.1.0",
        "info": {
            "title": "Govgate control plane",
            "version": version("govgate"),
            "description": "Errors are problem details; docs/reference/errors.md lists the codes.",
        },
        "security": [{name: []} for name in _KEYS],
        "paths": paths,
        "components": {
            "securitySchemes": _KEYS,
            "schemas": components,
            "responses": {
                "Problem": {
                    "description": "It is refused, or cannot be done.",
                    "content": {PROBLEM: {"schema": named[Problem]}},
                }
            },
        },
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(told))  # defaults are tuples
    return plain


def operations(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """The path, the method in small letters and the handler of each route, in order."""
    routes = [each for each in app.routes if isinstance(each, HTTPRoute)]
    for route in sorted(routes, key=lambda each: each.path_format):
        if not route.path_format.startswith(_CONTROL):
            continue
        for handler in route.route_handlers:
            for method in sorted(set(map(str, handler.http_methods)) - {"OPTIONS"}):
                yield route.path_format, method.lower(), handler


def _operation(
    path: str, method: str, handler: HTTPRouteHandler, named: Mapping[type, Schema]
) -> dict[str, Any]:
    says = _says(handler) or Says({}, media=())
    places = re.findall(r"\{([^}]+)\}", path)
    params = [_param(name, "path", Param(TEXT, "", required=True)) for name in places]
    params += [_param(name, "query", param) for name, param in says.query.items()]
    params += [_param(name, "header", param) for name, param in says.headers.items()]
    schema = named[says.answer] if isinstance(says.answer, type) else says.answer
    refusals = [401, 403]
    if says.query or says.headers or says.takes:
        refusals.append(400)
    if places:
        refusals.append(404)
    told: dict[str, Any] = {
        "operationId": "_".join([method, *re.findall(r"[a-z0-9]+", path.removeprefix(_CONTROL))]),
        "summary": (handler.fn.__doc__ or "").strip().partition("\n")[0],
        "responses": {
            str(says.status): {
                "description": "What is asked for.",
                **({"content": {media: _content(schema) for media in says.media}} if says.media
                   else {}),
            },
            **{str(status): _PROBLEM for status in sorted(refusals)},
            "default": _PROBLEM,
        },
    }  # fmt: skip
    if params:
        told["parameters"] = params
    if says.takes is not None:
        body = {"application/json": _content(named[says.takes])}
        told["requestBody"] = {"required": True, "content": body}
    return told


def _param(name: str, where: str, param: Param) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "in": where, "schema": dict(param.schema)}
    if param.about:
        told["description"] = param.about
    if param.required:
        told["required"] = True
    return told


def _content(schema: Schema) -> dict[str, Any]:
    return {"schema": schema} if schema else {}


def _says(handler: HTTPRouteHandler) -> Says | None:
    said = handler.opt.get(SAYS)
    return said if isinstance(said, Says) else None


def filters_query(filters: type[msgspec.Struct], dimensions: Sequence[str]) -> dict[str, Param]:
    """The query parameters that filters may be given as: a dimension may come several times, and
    each may be excluded."""
    schemas, components = msgspec.json.schema_components([filters], ref_template=_SCHEMAS)
    shape = components[str(schemas[0]["$ref"]).rpartition("/")[2]]
    found: dict[str, Param] = {}
    for name, schema in shape["properties"].items():
        if name == "exclude":
            continue
        several = name in dimensions
        found[name] = Param(schema, "One of these values must stand." if several else "")
        if several:
            found[f"exclude.{name}"] = Param(schema, "None of these values may stand.")
    return found
