"""One path for each endpoint, however a client's base URL was written."""

from __future__ import annotations

from collections.abc import Iterable

_API = "v1"
_AZURE = "openai"
"""What Azure puts before its paths: `/openai/v1/…`, `/openai/responses`."""
_DEPLOYMENTS = [_AZURE, "deployments"]
_DEPLOYED = frozenset(
    {
        "chat/completions",
        "completions",
        "embeddings",
        "images/generations",
        "images/edits",
        "audio/transcriptions",
        "audio/translations",
        "audio/speech",
    }
)
"""What may follow the name of a deployment (Azure OpenAI's reference, "Data plane inference")."""


class Paths:
    """Knows which paths are meant by which.

    Base URLs are given with `/v1` and without, with a slash at the end, or as far as a client's
    documentation for another vendor said. The route is found, and the caller's right to it
    checked, on the path that this gives.
    """

    def __init__(self, routes: Iterable[str]) -> None:
        """`routes` are the application's own paths."""
        split = [_segments(route) for route in routes]
        self._below_api = {parts[1] for parts in split if parts[0:1] == [_API] and len(parts) > 1}

    def canonical(self, path: str) -> str:
        """The path that `path` stands for; it is its own where it stands for no other."""
        parts = _segments(path)
        if parts[0:1] == [_AZURE] and self._begins(parts[1:]):
            parts = parts[1:]
        while parts[0:2] == [_API, _API]:
            parts = parts[1:]
        if parts and parts[0] in self._below_api:
            parts = [_API, *parts]
        return "/" + "/".join(parts)

    def _begins(self, parts: list[str]) -> bool:
        return bool(parts) and (parts[0] == _API or parts[0] in self._below_api)


def deployed(path: str) -> tuple[str, str] | None:
    """The endpoint and the model of `/openai/deployments/{model}/…`; None for another path."""
    parts = path.strip("/").split("/")
    endpoint = "/".join(parts[3:])
    if parts[0:2] != _DEPLOYMENTS or endpoint not in _DEPLOYED or not parts[2]:
        return None
    return f"/{_API}/{endpoint}", parts[2]


def _segments(path: str) -> list[str]:
    return [part for part in path.split("/") if part]
