"""Whose an exchange is: the verified user's before whom anybody names, else the app's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.attribution import Attribution, attribution_of, subject_of
from gateway.core.dialect import Dialect
from gateway.core.exchange import Call, Exchange
from gateway.dialects.chat import Chat
from gateway.dialects.messages import Messages
from tests.exchanges import SOMEBODY

CLAUDE_CODE = "user_0a1b_account_11111111-2222_session_33333333-4444"


async def nothing() -> bytes:
    return b""


def of(
    body: dict[str, Any] | None,
    dialect: Dialect,
    user: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Attribution:
    attributes = {f"x-govgate-{name}": said for name, said in (headers or {}).items()}
    exchange = Exchange(dialect, nothing, Call(attributes=attributes))
    exchange.principal = replace(SOMEBODY, user=user)
    if body is not None:
        exchange.request = body
    return attribution_of(exchange)


APP = f"app:{SOMEBODY.app}"


@pytest.mark.parametrize(
    ("body", "user", "headers", "subject"),
    [
        ({"user": "b", "safety_identifier": "s"}, "v", {"user": "h"}, "user:v"),
        ({"user": "b"}, None, {"user": " h "}, "user:h"),
        ({"user": "b", "safety_identifier": "s"}, None, {"user": " "}, "user:b"),
        ({"user": "", "safety_identifier": "s"}, None, {}, "user:s"),
        ({"user": 7, "metadata": {"user_id": "m"}}, None, {}, APP),
        (None, None, {}, APP),
        (None, "v", {}, "user:v"),
    ],
)
def test_the_surest_name_counts(
    body: dict[str, Any] | None, user: str | None, headers: dict[str, str], subject: str
) -> None:
    assert of(body, Chat(), user, headers).subject == subject


@pytest.mark.parametrize(
    ("user_id", "subject"),
    [
        ("u-1@example.org", "user:u-1@example.org"),
        (CLAUDE_CODE, APP),
        ('{"device_id":"d","session_id":"s"}', APP),
        ("two words", APP),
        ("", APP),
        (7, APP),
        ("x" * 257, APP),
    ],
)
def test_anthropics_user_is_one_only_where_it_is_plain(user_id: object, subject: str) -> None:
    assert of({"metadata": {"user_id": user_id}}, Messages()).subject == subject
    assert of({"metadata": [user_id]}, Messages()).subject == APP


def test_a_session_is_what_the_caller_calls_it() -> None:
    assert of({}, Chat(), headers={"session-id": " s 1 "}).session == "s 1"
    assert of({}, Chat(), headers={"session-id": " "}).session is None
    assert of({}, Chat()).session is None


def test_a_principal_is_a_subject_of_its_own() -> None:
    assert subject_of(SOMEBODY) == APP
    assert subject_of(replace(SOMEBODY, user="ann")) == "user:ann"
