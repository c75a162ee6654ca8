"""Every setting there is. Environment `GOVGATE_SECTION__KEY`; nothing else is read.

`GOVGATE_SECTION__KEY_FILE` is the path of a file that holds the value.
"""

from __future__ import annotations

import json
import os
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

_PREFIX = "GOVGATE_"
_FILE = "_FILE"
_JSON: dict[Any, type] = {tuple: list, dict: dict}
"""What stands in JSON for the types of members."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(_Section):
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


class Jwt(_Section):
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


class Database(_Section):
    """Where money and memory are kept."""

    url: str | None = None
    """`sqlite:///…` or `postgresql+psycopg://…`. By default SQLite in the data directory."""
    lease_seconds: Annotated[float, Field(ge=1)] = 10.0
    """For how long a gateway that gives no sign is taken to be alive. What it left open is
    closed as `lost` after that."""


class Keyring(_Section):
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


class Ledger(_Section):
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


class Objects(_Section):
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


class Audit(_Section):
    """How records are found."""

    index: bool = True
    """Whether this process keeps the index that searches read, when no other does."""
    text: bool = True
    """Whether masked text is searched. Its words then stand in the database in clear."""


class Engine(StrEnum):
    WASM = "wasm"
    OPA = "opa"


class Policy(_Section):
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


class Upstream(_Section):
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


class Replay(_Section):
    """The built-in provider, which answers without a network."""

    enabled: bool = True
    pace_seconds: Annotated[float, Field(ge=0)] = 0.0
    """The pause between two events of a stream."""


class Inspection(_Section):
    """What looks at text."""

    enabled: bool = True
    """Off, nothing is found, and what a policy wants screened is refused."""
    presidio: bool = False
    """Also run Presidio's analyzer, in worker processes. Needs `requirements/analyzer.txt`."""


class Cache(_Section):
    """Known answers, where a rule allows keeping them."""

    most_bytes: Annotated[int, Field(ge=0)] = 64 << 20


class Files(_Section):
    """Files that callers upload for their batches."""

    most_bytes: Annotated[int, Field(ge=1_024)] = 16 << 20
    """The largest, in bytes."""


class Batches(_Section):
    """Work that is handed in and run when there is time."""

    together: Annotated[int, Field(ge=0, le=256)] = 4
    """Lines that this process runs at once; 0 leaves batches to other processes."""


class Prices(_Section):
    """What models cost, where the price list is wrong or does not know."""

    overrides: dict[str, tuple[str, str]] = Field(default_factory=dict)
    """Model to dollars per million input and output tokens, as JSON."""


class _Environment(EnvSettingsSource):
    """The environment, where `GOVGATE_…_FILE` names a file that holds the value."""

    def __init__(self, settings: type[BaseSettings]) -> None:
        super().__init__(settings)
        named = {
            name: path
            for name, path in self.env_vars.items()
            if name.startswith(_PREFIX.lower()) and name.endswith(_FILE.lower()) and path
        }
        held = {name.removesuffix(_FILE.lower()): _held(name, p) for name, p in named.items()}
        if twice := held.keys() & self.env_vars.keys():
            raise SettingsError(f"{min(twice).upper()} is given, and a file for it too")
        rest = {name: value for name, value in self.env_vars.items() if name not in named}
        self.env_vars = {**rest, **held}
        for name, value in self.env_vars.items():
            _check_json(name, value, _json_kind(settings, name))


def _held(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name.upper()} cannot be read: {error}") from error


def _json_kind(settings: type[BaseSettings], name: str) -> type | None:
    """What a variable holds as JSON, a list or a dict; None for one that is no JSON."""
    first, _, member = name.removeprefix(_PREFIX.lower()).partition("__")
    field = settings.model_fields.get(first)
    section = field.annotation if field else None
    if not isinstance(section, type) or not issubclass(section, BaseModel):
        return None
    if not member:
        return dict
    found = section.model_fields.get(member)
    return _JSON.get(get_origin(found.annotation)) if found else None


def _check_json(name: str, value: str | None, kind: type | None) -> None:
    """Raise `SettingsError` for what is not the JSON that it should be. The value is not told."""
    if kind is None or not value:
        return
    try:
        right = isinstance(json.loads(value), kind)
    except ValueError:
        right = False
    if not right:
        shape = 'list, such as ["a", "b"]' if kind is list else 'object, such as {"a": …}'
        raise SettingsError(f"{name.upper()} must be a JSON {shape}")


class Settings(BaseSettings):
    """The settings of one process. An unknown one is an error."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    data_dir: Path = Path("var")
    """Where the embedded database and the keyring are kept."""
    env: Annotated[str, Field(pattern=r"^[a-z0-9]{1,16}$")] = "dev"
    """The environment's name; it stands in every API key."""
    server: Server = Server()
    jwt: Jwt = Jwt()
    database: Database = Database()
    keyring: Keyring = Keyring()
    ledger: Ledger = Ledger()
    objects: Objects = Objects()
    audit: Audit = Audit()
    policy: Policy = Policy()
    routes: Path | None = None
    """A YAML file with more providers, and the models that callers name."""
    retention: Path | None = None
    """A YAML file that says for how long payloads are kept, of what, and why."""
    sinks: Path | None = None
    """A YAML file with where records are sent as they come into the log."""
    upstream: Upstream = Upstream()
    replay: Replay = Replay()
    inspection: Inspection = Inspection()
    cache: Cache = Cache()
    files: Files = Files()
    batches: Batches = Batches()
    prices: Prices = Prices()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given to the constructor, then the environment; nothing else."""
        return init_settings, _Environment(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _known_names(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse `GOVGATE_` variables that name nothing here; a typing error is no default."""
        fields = cls.model_fields
        for name in os.environ:
            if not name.startswith(_PREFIX):
                continue
            bare = name.removeprefix(_PREFIX).removesuffix(_FILE).lower()
            first, _, member = bare.partition("__")
            if first not in fields or (member and not isinstance(fields[first].default, BaseModel)):
                raise ValueError(f"{name} is no setting; see docs/reference/settings.md")
        return values

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{self.data_dir.absolute() / 'govgate.db'}"

    @property
    def keyring_path(self) -> Path:
        return self.data_dir / "keyring.json"

    @property
    def pack(self) -> Path:
        return self.policy.pack or baseline_pack()


def baseline_pack() -> Path:
    """The pack that is shipped: in the package, or beside it in a checkout."""
    shipped = Path(str(files("gateway"))) / "assets" / "baseline"
    return shipped if shipped.is_dir() else Path(__file__).parent.parent / "policies/packs/baseline"


def load() -> Settings:
    """The settings of the environment. Raises `ValidationError`, `SettingsError`."""
    return Settings()
