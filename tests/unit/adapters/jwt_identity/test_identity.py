"""Tokens: only a good one is anybody's (RFC 7519, RFC 8725)."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jwt
from joserfc.jws import JWSRegistry

from gateway.adapters.jwt_identity import LONGEST, REMEMBERED, JwtIdentity, KeyOrToken
from gateway.adapters.jwt_identity.claims import Reading
from gateway.core.errors import Unavailable
from gateway.core.principal import Principal
from tests.fakes.keys import FakeKeys
from tests.unit.adapters.jwt_identity.issuer import (
    AUDIENCE,
    ISSUER,
    KINDS,
    NOW,
    Issuer,
    claims,
    key,
    signed,
)


@pytest.mark.parametrize("alg", KINDS)
async def test_a_good_token_is_its_principal(alg: str) -> None:
    issuer = Issuer(key("k1", alg))
    who = await issuer.identity().principal(signed(alg=alg))
    assert who == Reading().principal(claims())


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
async def test_a_token_may_say_that_it_grants_access(typ: str | None) -> None:
    token = jwt.encode(
        {"alg": "ES256", "kid": "k1"} | ({"typ": typ} if typ else {}),
        claims(), key("k1"), algorithms=["ES256"], default_type=None,
    )  # fmt: skip
    assert await Issuer().identity().principal(token) is not None


BAD: dict[str, dict[str, Any]] = {
    "expired": {"exp": NOW - 31},
    "no expiry": {"exp": None},
    "an expiry that is no number": {"exp": "never"},
    "not valid yet": {"nbf": NOW + 31},
    "issued in the future": {"iat": NOW + 31},
    "another issuer": {"iss": "https://evil.example"},
    "an issuer that begins alike": {"iss": ISSUER + ".evil.example"},
    "an issuer with a slash": {"iss": ISSUER + "/"},
    "issuers": {"iss": [ISSUER]},
    "no issuer": {"iss": None},
    "another audience": {"aud": "other"},
    "other audiences": {"aud": ["other", AUDIENCE + "x"]},
    "no audience": {"aud": None},
    "an empty audience": {"aud": ""},
    "no application": {"client_id": None},
    "an application that is none": {"client_id": {"a": 1}},
}


@pytest.mark.parametrize("why", BAD)
async def test_a_token_with_bad_claims_is_nobodys(why: str) -> None:
    token = signed(claims(**BAD[why]))
    assert await Issuer().identity().principal(token) is None


@pytest.mark.parametrize(
    "more",
    [{"exp": NOW - 29}, {"nbf": NOW + 29}, {"iat": NOW + 29}, {"aud": ["other", AUDIENCE]},
     {"iat": None}, {"exp": NOW + 0.5}],
    ids=str,
)  # fmt: skip
async def test_clocks_may_differ_a_little(more: dict[str, Any]) -> None:
    assert await Issuer().identity().principal(signed(claims(**more))) is not None


HEADS: dict[str, dict[str, Any]] = {
    "a logout token": {"typ": "logout+jwt"},
    "an event": {"typ": "secevent+jwt"},
    "a proof": {"typ": "dpop+jwt"},
    "an unknown key": {"kid": "k9"},
    "an extension": {"crit": ["exp"]},
    "algorithms": {"alg": []},
    "an algorithm that is an object": {"alg": {}},
    "no algorithm": {"alg": None},
    "names of keys": {"kid": ["k1"]},
    "types": {"typ": ["JWT"]},
}


@pytest.mark.parametrize("why", HEADS)
async def test_a_token_with_a_bad_head_is_nobodys(why: str) -> None:
    head = {"alg": "ES256", "kid": "k1", "typ": "JWT", **HEADS[why]}
    assert await Issuer().identity().principal(by_hand(head, claims())) is None


def by_hand(head: Any, told: Any, by: Any = None) -> str:
    """A token with whatever head, rightly signed where it can be."""
    signed_part = b".".join(_encoded(orjson.dumps(part)) for part in (head, told))
    signature = JWSRegistry.algorithms["ES256"].sign(signed_part, by or key("k1"))
    return (signed_part + b"." + _encoded(signature)).decode()


def _encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


async def test_what_is_made_by_hand_is_good_but_for_its_head() -> None:
    token = by_hand({"alg": "ES256", "kid": "k1", "typ": "JWT"}, claims())
    assert await Issuer().identity().principal(token) is not None


class TestAttacks:
    """RFC 8725 §2."""

    async def test_no_signature(self) -> None:
        for alg in ("none", "None", "NONE", ""):
            head, body = _encoded(orjson.dumps({"alg": alg, "kid": "k1"})), orjson.dumps(claims())
            token = (head + b"." + _encoded(body) + b".").decode()
            assert await Issuer().identity().principal(token) is None

    async def test_the_public_key_as_a_secret(self) -> None:
        issuer = Issuer(key("k1", "RS256"))
        for form in (key("k1", "RS256").as_pem(private=False), b"x" * 32):
            secret = jwk.OctKey.import_key(base64.b64encode(form).decode())
            token = jwt.encode(
                {"alg": "HS256", "kid": "k1"}, claims(), secret, algorithms=["HS256"]
            )
            assert await issuer.identity().principal(token) is None

    async def test_a_key_of_ones_own_in_the_head(self) -> None:
        mine = jwk.generate_key("EC", "P-256", {"kid": "k1"})
        for more in (
            {"jwk": mine.as_dict(private=False)},
            {"jku": "https://evil.example/jwks"},
            {"x5u": "https://evil.example/x"},
        ):
            issuer = Issuer()
            token = by_hand({"alg": "ES256", "kid": "k1", **more}, claims(), mine)
            assert await issuer.identity().principal(token) is None
            assert issuer.asked == 1

    async def test_another_algorithm_than_is_listed(self) -> None:
        issuer = Issuer(key("k1", "RS256"))
        assert await issuer.identity(algorithms=["ES256"]).principal(signed(alg="RS256")) is None
        assert issuer.asked == 0

    async def test_a_signature_of_another_token(self) -> None:
        head, _, signature = signed().split(".")
        body = _encoded(orjson.dumps(claims(client_id="admin"))).decode()
        assert await Issuer().identity().principal(f"{head}.{body}.{signature}") is None

    async def test_an_encrypted_token_is_none(self) -> None:
        assert await Issuer().identity().principal("a.b.c.d.e") is None

    async def test_a_head_that_nests_without_end(self) -> None:
        deep = _encoded(b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}").decode()
        assert await Issuer().identity().principal(f"{deep}.e30.AA") is None

    async def test_a_token_without_end(self) -> None:
        issuer = Issuer()
        assert await issuer.identity().principal("a" * LONGEST + ".b.c") is None
        assert issuer.asked == 0

    @given(st.integers(0, 10_000), st.integers(0, 255))
    async def test_one_changed_character_makes_it_nobodys(self, place: int, by: int) -> None:
        token = signed()
        at = place % len(token)
        changed = token[:at] + chr(by) + token[at + 1 :]
        who = await Issuer().identity().principal(changed)
        if who is not None:  # the last characters of base64 may stand for the same bytes
            assert [_bytes(part) for part in changed.split(".")] == [
                _bytes(part) for part in token.split(".")
            ]

    @given(st.text(alphabet=st.characters(max_codepoint=0x2FF), max_size=60))
    async def test_no_text_is_anybodys(self, text: str) -> None:
        identity = Issuer().identity()
        for token in (text, f"{text}.{text}.{text}"):
            assert await identity.principal(token) is None


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class TestMemory:
    async def test_a_token_is_not_verified_again_at_once(self) -> None:
        issuer = Issuer()
        identity = issuer.identity()
        token = signed()
        first = await identity.principal(token)
        assert await identity.principal(token) is first
        issuer.now += REMEMBERED + 1
        again = await identity.principal(token)
        assert again == first
        assert again is not first

    async def test_it_ends_with_the_token(self) -> None:
        issuer = Issuer()
        identity = issuer.identity()
        token = signed(claims(exp=NOW + 10))
        assert await identity.principal(token) is not None
        issuer.now += 10 + 30
        assert await identity.principal(token) is None

    async def test_it_ends_with_the_keys_that_it_was_verified_by(self) -> None:
        issuer = Issuer(key("k1"))
        identity = issuer.identity()
        token = signed()
        assert await identity.principal(token) is not None
        issuer.keys = [key("k2")]
        issuer.clock += 40.0
        assert await identity.principal(signed(by=key("k2"))) is not None
        assert await identity.principal(token) is None

    async def test_what_is_no_good_is_not_remembered(self) -> None:
        issuer = Issuer()
        identity = issuer.identity()
        token = signed(claims(nbf=NOW + 60))
        assert await identity.principal(token) is None
        issuer.now += 60
        assert await identity.principal(token) is not None


async def test_when_the_issuer_is_away_it_is_said() -> None:
    issuer = Issuer()
    issuer.away = OSError()
    with pytest.raises(Unavailable):
        await issuer.identity().principal(signed())


@pytest.mark.parametrize(
    "given_",
    [{"algorithms": []}, {"algorithms": ["HS256"]}, {"algorithms": ["ES256", "none"]},
     {"algorithms": ["HS256", "RS256"]}, {"issuer": ""}, {"audience": ""}],
    ids=str,
)  # fmt: skip
def test_what_would_believe_too_much_is_not_built(given_: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Issuer().identity(**given_)


class TestKeyOrToken:
    ANN, BOT = Principal("o", "t", "ann", "k1"), Principal("o", "t", "bot", "k2")

    def both(self) -> KeyOrToken:
        keys = FakeKeys({"gg_dev_a": self.ANN, "gg_a.b.c": self.ANN, "plain": self.ANN})
        return KeyOrToken(keys, FakeKeys({"a.b.c": self.BOT, "gg_a.b.c": self.BOT}))

    @pytest.mark.parametrize(
        ("credential", "who"),
        [("gg_dev_a", ANN), ("plain", ANN), ("a.b.c", BOT), ("gg_a.b.c", ANN), ("a.b", None),
         ("a.b.c.d", None), ("", None)],
    )  # fmt: skip
    async def test_which_is_which(self, credential: str, who: Principal | None) -> None:
        assert await self.both().principal(credential) is who

    def test_tokens_are_a_kind_of_keys(self) -> None:
        assert isinstance(Issuer().identity(), JwtIdentity)
