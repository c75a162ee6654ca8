"""C30: no page may call, unless its origin is listed; then it may send and read what it needs."""

from __future__ import annotations

import pytest

from gateway.server.cors import Cors

APP = "https://app.example.org"
CORS = Cors([APP, "http://localhost:3000"])


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        (APP, True),
        ("HTTPS://APP.example.org", True),
        ("http://localhost:3000", True),
        ("http://localhost", False),
        ("http://app.example.org", False),
        ("https://app.example.org.evil.example", False),
        ("https://evil.app.example.org", False),
        ("https://appxexample.org", False),
        ("null", False),
        ("", False),
        ("*", False),
    ],
)
def test_c30_origins_are_compared_as_they_are_spelled(origin: str, admitted: bool) -> None:
    assert CORS.admits("/v1/models", origin) is admitted


def test_c30_nobody_is_admitted_by_default() -> None:
    assert not Cors().concerns("/v1/models")
    assert not Cors().admits("/v1/models", APP)


@pytest.mark.parametrize("path", ["/api/v1/coverage", "/console", "/console/reviews"])
def test_the_control_plane_is_closed_to_pages(path: str) -> None:
    assert not CORS.admits(path, APP)


@pytest.mark.parametrize(
    "origin",
    ["*", "app.example.org", "https://", "https://*.example.org", "https://a.example/", "ftp://a",
     "https://u@a.example", "https://a.example?x", "null"],
)  # fmt: skip
def test_an_origin_is_one(origin: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        Cors([origin])


def test_c30_a_preflight_allows_what_clients_send_and_nothing_else() -> None:
    wanted = "Authorization, content-type,x-stainless-os, anthropic-version, x-govgate-user"
    told = CORS.preflight({"access-control-request-headers": f"{wanted}, cookie, x-forwarded-for"})
    assert told["access-control-allow-headers"] == (
        "authorization, content-type, x-stainless-os, anthropic-version, x-govgate-user"
    )
    assert "POST" in told["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in told
    assert "access-control-allow-headers" not in CORS.preflight({})


def test_c30_a_page_may_read_our_headers() -> None:
    names = ["x-request-id", "x-govgate-labels", "retry-after", "set-cookie", "content-length"]
    assert CORS.exposed(names) == "retry-after, x-govgate-labels, x-request-id"
