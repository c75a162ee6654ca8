"""C13: however a base URL was written, it leads to the same endpoint, and to no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.server.paths import Paths, deployed

ROUTES = (
    "/v1/chat/completions",
    "/v1/models",
    "/v1/models/{model:path}",
    "/v1/messages",
    "/api/v1/coverage",
    "/livez",
)
PATHS = Paths(ROUTES)
BASES = ("", "/", "/v1", "/v1/", "/v1/v1", "/v1/v1/v1/", "/openai/v1", "/openai", "//v1//")


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("end", ["", "/", "//"])
@pytest.mark.parametrize("path", ["/chat/completions", "/models", "/models/org/m-1", "/messages"])
def test_c13_every_base_url_leads_there(base: str, end: str, path: str) -> None:
    assert PATHS.canonical(f"{base}{path}{end}") == f"/v1{path}"


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/", "/"),
        ("/v1", "/v1"),
        ("/v1/v1", "/v1"),
        ("/livez/", "/livez"),
        ("/api/v1/coverage", "/api/v1/coverage"),
        ("/v1/files", "/v1/files"),
        ("/files", "/files"),
        ("/coverage", "/coverage"),
        ("/chat", "/v1/chat"),
        ("/openai", "/openai"),
        ("/openai/openai/v1", "/openai/openai/v1"),
        ("/openai/deployments/gpt/chat/completions", "/openai/deployments/gpt/chat/completions"),
        ("/openai/deployments/models/chat/", "/openai/deployments/models/chat"),
        ("/V1/chat/completions", "/V1/chat/completions"),
        ("/v1/../v1/models", "/v1/../v1/models"),
    ],
)
def test_nothing_else_is_taken_for_another(path: str, meant: str) -> None:
    assert PATHS.canonical(path) == meant


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/openai/deployments/gpt-4o/chat/completions", ("/v1/chat/completions", "gpt-4o")),
        ("//openai/deployments/gpt-4o/audio/speech/", ("/v1/audio/speech", "gpt-4o")),
        ("/openai/deployments/gpt-4o", None),
        ("/openai/deployments/gpt-4o/responses", None),
        ("/openai/deployments/gpt-4o/chat/completions/x", None),
        ("/v1/deployments/gpt-4o/chat/completions", None),
        ("/openai/deployments//chat/completions", None),
    ],
)
def test_c33_a_deployment_names_the_model(path: str, found: tuple[str, str] | None) -> None:
    assert deployed(path) == found


@given(st.lists(st.sampled_from(["v1", "openai", "chat", "models", "deployments", "api", "x", ""])))
def test_a_canonical_path_stands_for_itself(parts: list[str]) -> None:
    meant = PATHS.canonical("/" + "/".join(parts))
    assert PATHS.canonical(meant) == meant
    assert meant.startswith("/")
    assert "//" not in meant
