"""Every setting there is. Environment `GOVGATE_SECTION__KEY`; nothing else is read.

`GOVGATE_SECTION__KEY_FILE` is the path of a file that holds the value.
"""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, get_origin

from pydantic import BaseModel, Field, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from gateway.settings_sections import (
    Audit,
    Batches,
    Cache,
    Database,
    Engine,
    Files,
    Inspection,
    Jwt,
    Keyring,
    Ledger,
    Objects,
    Policy,
    Prices,
    Replay,
    Server,
    Upstream,
)

__all__ = [
    "Database",
    "Engine",
    "Ledger",
    "Policy",
    "Settings",
    "Upstream",
    "baseline_pack",
    "load",
    "shipped_packs",
]

_PREFIX = "GOVGATE_"
_FILE = "_FILE"
_JSON: dict[Any, type] = {tuple: list, dict: dict}
"""What stands in JSON for the types of members."""


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


def shipped_packs() -> Path:
    """The packs that are shipped: in the package, or beside it in a checkout."""
    shipped = Path(str(files("gateway"))) / "assets" / "packs"
    return shipped if shipped.is_dir() else Path(__file__).parent.parent / "policies/packs"


def baseline_pack() -> Path:
    """The pack that is in force until another is."""
    return shipped_packs() / "baseline"


def load() -> Settings:
    """The settings of the environment. Raises `ValidationError`, `SettingsError`."""
    return Settings()
