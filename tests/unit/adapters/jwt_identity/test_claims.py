"""What a token says of its bearer, and what is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.adapters.jwt_identity.claims import LONGEST, MOST, Reading, Unusable, found
from gateway.core.principal import Limits
from tests.unit.adapters.jwt_identity.issuer import claims


def test_what_is_read_by_default() -> None:
    who = Reading().principal(claims())
    assert (who.org, who.team, who.app, who.user) == ("default", "default", "shop-bot", "ann")
    assert (who.scopes, who.models) == (("chat.*", "models.list"), ("*",))
    assert (who.budget_id, who.limits) == (None, Limits())


def test_every_claim_may_be_named() -> None:
    reading = Reading(
        app="azp", team="https://example.org/team", user="email", scopes="realm.roles",
        models="models", budget="budget", limits=Limits(60, 1_000),
    )  # fmt: skip
    told = {
        "azp": "bot", "https://example.org/team": "support", "email": "ann@example.org",
        "realm": {"roles": ["chat.*"]}, "models": ["gpt-4o*"], "budget": "bud_1",
    }  # fmt: skip
    who = reading.principal(claims(**told))
    assert (who.team, who.app, who.user) == ("support", "bot", "ann@example.org")
    assert (who.scopes, who.models, who.budget_id) == (("chat.*",), ("gpt-4o*",), "bud_1")
    assert who.limits == Limits(60, 1_000)


def test_of_roles_those_that_there_are_count() -> None:
    reading = Reading(roles="groups")
    assert Reading().principal(claims(groups=["auditor"])).roles == ()
    assert reading.principal(claims()).roles == ()
    assert reading.principal(claims(groups=["auditor", "Domain Users"])).roles == ("auditor",)
    assert reading.principal(claims(groups="viewer root")).roles == ("viewer",)
    with pytest.raises(Unusable):
        reading.principal(claims(groups=[1]))


def test_a_name_with_dots_is_first_a_name() -> None:
    assert found({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert found({"a": {"b": 2}}, "a.b") == 2
    assert found({"a": 1}, "a.b") is None
    assert found({}, "a") is None


def test_what_is_read_and_missing_allows_nothing() -> None:
    reading = Reading(models="models")
    who = reading.principal(claims(scope=None))
    assert not who.may_call("chat.completions.create")
    assert not who.may_use("gpt-4o")


@pytest.mark.parametrize("empty", [None, ""])
def test_what_is_not_read_allows_everything(empty: str | None) -> None:
    who = Reading(scopes=empty, models=empty).principal(claims(scope=None))
    assert who.may_call("chat.completions.create")
    assert who.may_use("gpt-4o")


@pytest.mark.parametrize("app", [None, "", 1, ["a"], {"a": 1}, "a\nb", "x" * (LONGEST + 1), True])
def test_without_an_application_it_is_nobodys(app: Any) -> None:
    with pytest.raises(Unusable):
        Reading().principal(claims(client_id=app))


@pytest.mark.parametrize("claim", ["team", "budget"])
def test_what_is_to_be_there_must_be(claim: str) -> None:
    with pytest.raises(Unusable):
        Reading(**{claim: "missing"}).principal(claims())


@pytest.mark.parametrize(
    "scope", [1, {"a": 1}, [1], ["a", None], "x " * (MOST + 1), ["x" * (LONGEST + 1)]]
)
def test_scopes_that_are_none_are_an_error(scope: Any) -> None:
    with pytest.raises(Unusable):
        Reading().principal(claims(scope=scope))


def test_callers_are_told_apart_by_issuer_application_and_subject() -> None:
    ids = {
        Reading().principal(claims(**more)).key_id
        for more in ({}, {"sub": "bob"}, {"client_id": "other"}, {"iss": "https://x"})
    }
    assert len(ids) == 4
    assert Reading().principal(claims(scope="x")).key_id in ids
    assert all(id.startswith("jwt_") for id in ids)
