"""Signature Version 4, held to AWS's published test suite and to what botocore computes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
from pydantic import SecretStr

from gateway.adapters.providers.sigv4 import Signer

NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SUITE = "https://example.amazonaws.com/"
MODEL = "/model/anthropic.claude-3-5-sonnet-20240620-v1%3A0/converse"
PROFILE = (
    "/model/arn%3Aaws%3Abedrock%3Aeu-west-3%3A123456789012%3Ainference-profile"
    "%2Feu.amazon.nova-pro-v1%3A0/converse-stream"
)
TOKEN = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQW"
JSON = {"content-type": "application/json"}


def signer(region: str = "us-east-1", service: str = "service", token: str | None = None) -> Signer:
    hidden = SecretStr(token) if token else None
    return Signer(SecretStr(KEY), SecretStr(SECRET), hidden, region, service)


@pytest.mark.parametrize(
    ("method", "headers", "body", "names", "signature"),
    [
        (
            "GET", {}, b"", "host;x-amz-date",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "POST", {}, b"", "host;x-amz-date",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"Param1=value1",
            "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "GET", {"My-Header1": " value1", "My-Header2": ' "a   b   c"'}, b"",
            "host;my-header1;my-header2;x-amz-date",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
    ],
    ids=["get-vanilla", "post-vanilla", "post-x-www-form-urlencoded", "get-header-value-trim"],
)  # fmt: skip
def test_the_published_suite(
    method: str, headers: dict[str, str], body: bytes, names: str, signature: str
) -> None:
    signed = signer().signed(method, httpx.URL(SUITE), headers, body, NOW)
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    assert signed["x-amz-date"] == "20150830T123600Z"


@pytest.mark.parametrize(
    ("url", "body", "token", "region", "signature"),
    [
        (
            f"https://bedrock-runtime.us-east-1.amazonaws.com{MODEL}", b'{"messages":[]}',
            None, "us-east-1",
            "40f11609b51d318bc71127993eb5b075cc12b3bde24aa11d2a25186d1fc1d196",
        ),
        (
            f"https://bedrock-runtime.eu-west-3.amazonaws.com{PROFILE}", '{"é":1}'.encode(),
            TOKEN, "eu-west-3",
            "d8f8d422ec0951a6bfe3252d2deff0a8e771a348e2178a549a9ec46a3b633dd7",
        ),
        (
            "http://127.0.0.1:8443/model/x/converse", b"{}", None, "us-east-1",
            "cdaa81e84864c91015eac20964b211b0fb1e610a10960c02f7c3dd94003fa69b",
        ),
    ],
)  # fmt: skip
def test_what_botocore_signs(
    url: str, body: bytes, token: str | None, region: str, signature: str
) -> None:
    """Computed with botocore 1.44.5: the path encoded twice, a session token, a port."""
    signed = signer(region, "bedrock", token).signed("POST", httpx.URL(url), JSON, body, NOW)
    assert signed["authorization"].endswith(f"Signature={signature}")
    assert signed.get("x-amz-security-token") == token


def test_a_time_is_signed_in_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-11)))
    url = httpx.URL(SUITE)
    assert signer().signed("GET", url, {}, b"", there) == signer().signed("GET", url, {}, b"", NOW)


def test_what_is_not_signed_is_refused() -> None:
    with pytest.raises(ValueError, match="query"):
        signer().signed("GET", httpx.URL(f"{SUITE}?a=b"), {}, b"", NOW)
    with pytest.raises(ValueError, match="zone"):
        signer().signed("GET", httpx.URL(SUITE), {}, b"", NOW.replace(tzinfo=None))


def test_keys_show_in_no_message() -> None:
    shown = repr(signer(token=TOKEN))
    assert SECRET not in shown
    assert TOKEN not in shown
    assert KEY not in shown
