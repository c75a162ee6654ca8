"""The settings, section by section: what each is for, and what it is by default."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    """Some of the settings. A member that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(Section):
    """Where the gateway listens."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    body_limit: Annotated[int, Field(ge=1_024)] = 10 << 20
    """The largest request body, in bytes."""
    shutdown_seconds: Annotated[int, Field(ge=1)] = 30
    """How long running exchanges may take to end when the server is stopped."""
    keep_alive_seconds: Annotated[float, Field(gt=0)] = 15.0
    """The longest that a stream which has begun says nothing; then it says a comment."""
    cors_origins: tuple[str, ...] = ()
    """Origins of pages that may call from a browser, such as `https://app.example.org`."""


class Jwt(Section):
    """Identity by tokens of an issuer, besides API keys. It is used when any of this is set."""

    issuer: str | None = None
    """The `iss` of every token, to the letter."""
    audience: str | None = None
    """What its `aud` must hold."""
    jwks_url: str | None = None
    """Where the issuer publishes its keys; `https`, or `http` on a loopback address."""
    jwks: str | None = None
    """Its keys themselves, a JWK Set, where they are not fetched."""
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "Ed25519")
    """Which signatures are believed; only asymmetric ones can be."""
    leeway_seconds: Annotated[int, Field(ge=0, le=300)] = 30
    """How far the clocks may differ."""
    app_claim: str = "client_id"
    """Claims are named as they are, or by a path with dots. An empty name reads none."""
    team_claim: str | None = None
    user_claim: str = "sub"
    scopes_claim: str = "scope"
    models_claim: str | None = None
    roles_claim: str | None = None
    budget_claim: str | None = None
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None

    @property
    def enabled(self) -> bool:
        """Whether any of it is given; half of it is refused when the gateway is built."""
        return bool(self.model_fields_set)


class Database(Section):
    """Where money and memory are kept."""

    url: str | None = None
    """`sqlite:///…` or `postgresql+psycopg://…`. By default SQLite in the data directory."""
    lease_seconds: Annotated[float, Field(ge=1)] = 10.0
    """For how long a gateway that gives no sign is taken to be alive. What it left open is
    closed as `lost` after that."""


class Keyring(Section):
    """What it rests sealed by: `vault:https://HOST/MOUNT/KEY`, `awskms:KEY`; None in the clear."""

    seal: str | None = None
    vault_token: SecretStr | None = None
    vault_namespace: str | None = None
    vault_ca: Path | None = None
    kms_endpoint: str | None = None
    kms_region: str | None = None
    kms_access_key_id: str | None = None
    kms_secret_access_key: SecretStr | None = None
    kms_session_token: SecretStr | None = None


class Ledger(Section):
    """How the records are proved."""

    origin: str | None = None
    """What the log is called at first. By default `govgate.local/` and the keyring's id."""
    key: Path | None = None
    """The log's private key. By default `log.key` in the data directory."""
    state: Path | None = None
    """What this host signed last. By default `log.state` in the data directory."""
    erasures: Path | None = None
    """Which keys were destroyed. By default `erasures.jsonl` in the data directory."""
    witnesses: dict[str, str] = Field(default_factory=dict)
    """Who co-signs, as JSON: the URL of each witness, and its public key."""
    anchors: tuple[str, ...] = ()
    """Where each new checkpoint is put besides: `s3://bucket/prefix`, `file:///folder`, or what
    an installed package knows."""


class Objects(Section):
    """How object storage is reached, and which payloads are kept in it. What is not given of
    how it is reached is taken from AWS's own variables."""

    url: str | None = None
    """Where large payloads are kept: `s3://bucket/prefix`, or `file:///folder`. By default in
    the database, as all others."""
    larger_than: int = Field(default=256 * 1024, ge=4_096)
    """Bytes of a payload above which it is kept there."""
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)
    """How long the payloads of an entry may take to be stored; then the call is refused."""
    endpoint: str | None = None
    """Where a store that is not Amazon's answers, such as `https://minio.example.org`."""
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None

    @property
    def access(self) -> dict[str, str]:
        """The options of S3 that are given."""
        secret = self.secret_access_key
        told = {
            "endpoint": self.endpoint,
            "region": self.region,
            "access_key_id": self.access_key_id,
            "secret_access_key": secret.get_secret_value() if secret else None,
        }
        return {name: value for name, value in told.items() if value}


class Audit(Section):
    """How records are found."""

    index: bool = True
    """Whether this process keeps the index that searches read, when no other does."""
    text: bool = True
    """Whether masked text is searched. Its words then stand in the database in clear."""


class Engine(StrEnum):
    WASM = "wasm"
    OPA = "opa"


class Policy(Section):
    """Which policy decides, and where."""

    pack: Path | None = None
    """A directory with a policy pack, which then decides alone. By default the policy is kept in
    the database, and begins with the `baseline` pack."""
    engine: Engine = Engine.WASM
    opa_url: str = "http://127.0.0.1:8181"
    """The OPA server, when `engine` is `opa`."""
    timeout_seconds: Annotated[float, Field(gt=0)] = 1.0
    """The longest a decision may take; later is refused."""
    cached_decisions: Annotated[int, Field(ge=0)] = 10_000
    most_stale_seconds: Annotated[float, Field(gt=0)] = 300.0
    """How long `strict_orgs` are served while it is not known which policy is to be in force."""
    strict_orgs: tuple[str, ...] = ()
    """Organisations that are refused after that; `*` is all of them."""
    breaker_failures: Annotated[int, Field(ge=0)] = 5
    """After so many failures in a row the OPA server is left alone for a second; 0 for never."""
    opa_child: bool = False
    """Whether the gateway runs an OPA server of its own, `opa_binary`, and asks that."""
    opa_binary: str = "opa"
    bundle_key: Path | None = None
    """What bundles are signed with. By default `policy-bundle.key` in the data directory."""
    approvals: Annotated[int, Field(ge=1, le=10)] = 1
    """How many people must approve a release under which more may pass; any other needs one."""
    git_approves: bool = False
    """Whether a pack that was published from Git counts as approved by one person."""


class Upstream(Section):
    """An OpenAI-compatible provider. It is used when `api_key` or `base_url` is set."""

    name: str = "openai"
    base_url: str | None = None
    """Where its API begins, with the `/v1`. By default OpenAI's."""
    api_key: SecretStr | None = None
    models: tuple[str, ...] = ()
    """Models to list in `GET /v1/models`; others are still passed on."""
    hosting: str = "external"
    region: str | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] = 4_096
    """The output limit that is written where a budget needs one and the caller set none."""
    attempts: Annotated[int, Field(ge=1, le=5)] = 2
    """How often a call is tried while it certainly produced nothing."""
    connect_seconds: Annotated[float, Field(gt=0)] = 5.0
    first_byte_seconds: Annotated[float, Field(gt=0)] = 300.0
    idle_seconds: Annotated[float, Field(gt=0)] = 60.0
    total_seconds: Annotated[float, Field(gt=0)] = 590.0
    """Below the 600 s after which OpenAI's and Anthropic's clients give up."""
    honour_proxies: bool = False
    """Whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY apply to it."""

    @property
    def enabled(self) -> bool:
        return self.api_key is not None or self.base_url is not None


class Replay(Section):
    """The built-in provider, which answers without a network."""

    enabled: bool = True
    pace_seconds: Annotated[float, Field(ge=0)] = 0.0
    """The pause between two events of a stream."""


class Inspection(Section):
    """What looks at text."""

    enabled: bool = True
    """Off, nothing is found, and what a policy wants screened is refused."""
    presidio: bool = False
    """Also run Presidio's analyzer, in worker processes. Needs `requirements/analyzer.txt`."""


class Cache(Section):
    """Known answers, where a rule allows keeping them."""

    most_bytes: Annotated[int, Field(ge=0)] = 64 << 20


class Files(Section):
    """Files that callers upload for their batches."""

    most_bytes: Annotated[int, Field(ge=1_024)] = 16 << 20
    """The largest, in bytes."""


class Batches(Section):
    """Work that is handed in and run when there is time."""

    together: Annotated[int, Field(ge=0, le=256)] = 4
    """Lines that this process runs at once; 0 leaves batches to other processes."""


class Prices(Section):
    """What models cost, where the price list is wrong or does not know."""

    overrides: dict[str, tuple[str, str]] = Field(default_factory=dict)
    """Model to dollars per million input and output tokens, as JSON."""
