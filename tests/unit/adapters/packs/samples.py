"""A small pack without a fault, and a rule of every kind."""

from __future__ import annotations

from typing import Any

from gateway.core.policies import PackFiles

RULE = """\
id: pii.mask
title: Personal data
kind: pii
mode: enforce
params:
  direction: input
  labels: [EMAIL_ADDRESS]
on_match: mask
message: {en: Masked.}
"""
FILES: PackFiles = {
    "pack.yaml": "id: mine\nversion: 1.2.3\ntitle: Mine\npolicy_api: 1\n",
    "rules/pii.yaml": RULE,
    "tests/pii.yaml": """\
suite: personal data
cases:
  - name: an address is masked
    given: {findings: [{kind: pii, label: EMAIL_ADDRESS}]}
    expect: {effect: deny, rules: [pii.mask]}
""",
}
LABELS = {"pii": ("EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE"), "secret": ()}


def files(**changed: str | None) -> dict[str, str]:
    """The small pack, with some files other than they are: `rules__pii` is rules/pii.yaml."""
    named = {f"{name.replace('__', '/')}.yaml": text for name, text in changed.items()}
    return {name: text for name, text in {**FILES, **named}.items() if text is not None}


def exception(**changes: str) -> str:
    """An exceptions.yaml with one exception."""
    whole = {
        "id": "x",
        "rule": "pii.mask",
        "when": "{}",
        "until": '"2099-06-01T00:00:00Z"',
        "why": "y",
        "approved_by": "z",
        **changes,
    }
    return "- " + "\n  ".join(f"{name}: {value}" for name, value in whole.items()) + "\n"


def rule(kind: str, **more: Any) -> dict[str, Any]:
    """A rule of a kind."""
    common = {"id": "one.rule", "title": "A rule", "kind": kind, "mode": "enforce"}
    return {**common, "message": {"en": "So."}, **more}


def _found(direction: str, on_match: str, **params: Any) -> dict[str, Any]:
    return {"params": {"direction": direction, **params}, "on_match": on_match}


OF_EVERY_KIND: dict[str, dict[str, Any]] = {
    "model_access, any": rule("model_access", params={"models": ["*"]}),
    "model_access, some": rule(
        "model_access",
        when={"apps": ["shop-*"], "teams": ["support", "sales"], "tags": ["public"]},
        params={"models": ["gpt-4o", "claude-*"], "max_output_tokens": 500},
    ),
    "tool_access, allowed": rule(
        "tool_access", params={"allow": ["search", "read-*"]}, on_match="restrict"
    ),
    "tool_access, denied": rule("tool_access", params={"deny": ["delete-*"]}, on_match="deny"),
    "tool_access, both": rule(
        "tool_access", params={"allow": ["search"], "deny": ["shell", "mail"]}, on_match="review"
    ),
    "tool_access, all denied": rule("tool_access", params={"deny": ["*"]}, on_match="deny"),
    "pii, masked": rule(
        "pii",
        when={"models": ["gpt-*"], "hosting": ["external"], "regions": ["us"]},
        **_found("input", "mask", labels=["EMAIL_ADDRESS", "IBAN_CODE"], min_score=0.65),
    ),
    "pii, refused": rule("pii", **_found("input", "deny", labels=["US_SSN"]), floor=True),
    "pii, held": rule("pii", **_found("input", "review", labels=["US_SSN"]), mode="observe"),
    "pii, struck out": rule(
        "pii", **_found("output", "redact", labels=["EMAIL_ADDRESS"], unit="paragraph")
    ),
    "secret": rule("secret", **_found("input", "deny", labels=["AWS_KEY"]), mode="off"),
    "phrase, asked": rule("phrase", **_found("input", "deny", list="weapons")),
    "phrase, said": rule("phrase", **_found("output", "filter", list="weapons", unit="whole")),
    "opaque, asked": rule(
        "opaque",
        **_found("input", "label", modalities=["image", "url"], labels=["unread", "seen-by-none"]),
    ),
    "opaque, said": rule("opaque", **_found("output", "deny", modalities=["audio"])),
    "unavailable, closed": rule("unavailable", params={"inspectors": ["*"]}, on_error="closed"),
    "unavailable, open": rule(
        "unavailable", params={"inspectors": ["pii", "phrase"]}, on_error="open"
    ),
    "label": rule("label", params={"labels": ["ai-generated", "draft"]}),
    "cache": rule("cache", params={"seconds": 600}),
    "cache, odd": rule("cache", params={"seconds": 3601}),
    "residency, always": rule(
        "residency",
        params={"region": ["eu", "ch"], "hosting": ["own"], "providers": ["a"], "tags": ["x", "y"]},
    ),
    "residency, found": rule("residency", params={"labels": ["FR_NIR"], "region": ["eu"]}),
    "response, error": rule("response", params={"how": "error"}),
    "response, filtered": rule("response", params={"how": "content_filter"}),
    "response, refusal": rule("response", params={"how": "refusal"}),
    "response, message": rule(
        "response", params={"how": "message", "message": "I cannot help with that."}
    ),
    "identifier": rule(
        "identifier",
        on_match="pseudonymise",
        valid={"from": "2026-12-01T00:00:00Z", "until": "2027-01-31T08:30:00Z"},
    ),
}
"""By what it shows: every kind, and everything that changes its sentence."""
