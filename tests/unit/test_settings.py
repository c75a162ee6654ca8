"""Settings: from the environment alone, each checked, none unknown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from gateway.adapters.packs import load_pack, read_folder
from gateway.settings import Engine, Settings, baseline_pack, load


@pytest.fixture(autouse=True)
def only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without anything of the developer's own."""
    for name in list(os.environ):
        if name.upper().startswith("GOVGATE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Any:
    def given(**settings: str) -> Settings:
        for name, value in settings.items():
            monkeypatch.setenv(f"GOVGATE_{name}", value)
        return load()

    return given


def test_nothing_need_be_set() -> None:
    settings = load()
    assert settings.data_dir == Path("var")
    assert settings.server.host == "127.0.0.1"  # never open to the world by default
    assert settings.policy.engine is Engine.WASM
    assert settings.replay.enabled
    assert settings.inspection.enabled
    assert not settings.upstream.enabled


GOOD: dict[str, tuple[str, Any]] = {
    "DATA_DIR": ("/data", Path("/data")),
    "ENV": ("prod", "prod"),
    "SERVER__HOST": ("::", "::"),
    "SERVER__PORT": ("0", 0),
    "SERVER__BODY_LIMIT": ("2048", 2048),
    "SERVER__SHUTDOWN_SECONDS": ("5", 5),
    "SERVER__KEEP_ALIVE_SECONDS": ("2.5", 2.5),
    "SERVER__CORS_ORIGINS": ('["https://a.example"]', ("https://a.example",)),
    "JWT__ISSUER": ("https://id.example", "https://id.example"),
    "JWT__AUDIENCE": ("govgate", "govgate"),
    "JWT__JWKS_URL": ("https://id.example/jwks", "https://id.example/jwks"),
    "JWT__JWKS": ('{"keys": []}', '{"keys": []}'),
    "JWT__ALGORITHMS": ('["ES384"]', ("ES384",)),
    "JWT__LEEWAY_SECONDS": ("0", 0),
    "JWT__APP_CLAIM": ("azp", "azp"),
    "JWT__TEAM_CLAIM": ("team", "team"),
    "JWT__USER_CLAIM": ("email", "email"),
    "JWT__SCOPES_CLAIM": ("", ""),
    "JWT__MODELS_CLAIM": ("models", "models"),
    "JWT__BUDGET_CLAIM": ("budget", "budget"),
    "JWT__ROLES_CLAIM": ("groups", "groups"),
    "JWT__REQUESTS_PER_MINUTE": ("60", 60),
    "JWT__TOKENS_PER_MINUTE": ("1000", 1000),
    "DATABASE__URL": ("postgresql+psycopg://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
    "DATABASE__LEASE_SECONDS": ("2.5", 2.5),
    "KEYRING__SEAL": ("awskms:alias/a", "awskms:alias/a"),
    "KEYRING__VAULT_TOKEN": ("hvs.1", SecretStr("hvs.1")),
    "KEYRING__VAULT_NAMESPACE": ("team/a", "team/a"),
    "KEYRING__VAULT_CA": ("/etc/vault.pem", Path("/etc/vault.pem")),
    "KEYRING__KMS_ENDPOINT": ("https://kms.example", "https://kms.example"),
    "KEYRING__KMS_REGION": ("eu-west-3", "eu-west-3"),
    "KEYRING__KMS_ACCESS_KEY_ID": ("AKIA2", "AKIA2"),
    "KEYRING__KMS_SECRET_ACCESS_KEY": ("s3cret", SecretStr("s3cret")),
    "KEYRING__KMS_SESSION_TOKEN": ("t0ken", SecretStr("t0ken")),
    "LEDGER__ORIGIN": ("example.org/log", "example.org/log"),
    "LEDGER__KEY": ("/keys/log", Path("/keys/log")),
    "LEDGER__STATE": ("/state/log", Path("/state/log")),
    "LEDGER__ERASURES": ("/state/erased", Path("/state/erased")),
    "LEDGER__ANCHORS": ('["file:///kept"]', ("file:///kept",)),
    "OBJECTS__URL": ("s3://payloads/gov", "s3://payloads/gov"),
    "OBJECTS__LARGER_THAN": ("1000000", 1_000_000),
    "OBJECTS__TIMEOUT_SECONDS": ("2.5", 2.5),
    "OBJECTS__ENDPOINT": ("https://minio.example", "https://minio.example"),
    "OBJECTS__REGION": ("eu-central-1", "eu-central-1"),
    "OBJECTS__ACCESS_KEY_ID": ("AKIA1", "AKIA1"),
    "OBJECTS__SECRET_ACCESS_KEY": ("s3cret", SecretStr("s3cret")),
    "LEDGER__WITNESSES": ('{"https://w.example": "w+1+a"}', {"https://w.example": "w+1+a"}),
    "AUDIT__INDEX": ("false", False),
    "AUDIT__TEXT": ("0", False),
    "POLICY__PACK": ("/packs/own", Path("/packs/own")),
    "POLICY__APPROVALS": ("2", 2),
    "POLICY__GIT_APPROVES": ("true", True),
    "POLICY__ENGINE": ("opa", Engine.OPA),
    "POLICY__OPA_URL": ("http://opa:8181", "http://opa:8181"),
    "POLICY__TIMEOUT_SECONDS": ("0.25", 0.25),
    "POLICY__CACHED_DECISIONS": ("0", 0),
    "POLICY__BREAKER_FAILURES": ("0", 0),
    "POLICY__OPA_CHILD": ("true", True),
    "POLICY__OPA_BINARY": ("/bin/opa", "/bin/opa"),
    "POLICY__BUNDLE_KEY": ("/keys/bundle", Path("/keys/bundle")),
    "POLICY__MOST_STALE_SECONDS": ("60", 60.0),
    "POLICY__STRICT_ORGS": ('["acme"]', ("acme",)),
    "SINKS": ("/etc/sinks.yaml", Path("/etc/sinks.yaml")),
    "ROUTES": ("/etc/routes.yaml", Path("/etc/routes.yaml")),
    "RETENTION": ("/etc/retention.yaml", Path("/etc/retention.yaml")),
    "UPSTREAM__NAME": ("mistral", "mistral"),
    "UPSTREAM__BASE_URL": ("http://h/v1", "http://h/v1"),
    "UPSTREAM__MODELS": ('["a", "b"]', ("a", "b")),
    "UPSTREAM__HOSTING": ("local", "local"),
    "UPSTREAM__REGION": ("eu", "eu"),
    "UPSTREAM__MAX_OUTPUT_TOKENS": ("100", 100),
    "UPSTREAM__ATTEMPTS": ("5", 5),
    "UPSTREAM__CONNECT_SECONDS": ("1", 1.0),
    "UPSTREAM__FIRST_BYTE_SECONDS": ("1", 1.0),
    "UPSTREAM__IDLE_SECONDS": ("1", 1.0),
    "UPSTREAM__TOTAL_SECONDS": ("1", 1.0),
    "UPSTREAM__HONOUR_PROXIES": ("true", True),
    "REPLAY__ENABLED": ("false", False),
    "REPLAY__PACE_SECONDS": ("0.1", 0.1),
    "INSPECTION__ENABLED": ("no", False),
    "INSPECTION__PRESIDIO": ("1", True),
    "CACHE__MOST_BYTES": ("0", 0),
    "FILES__MOST_BYTES": ("2048", 2_048),
    "BATCHES__TOGETHER": ("0", 0),
    "PRICES__OVERRIDES": ('{"m": ["1.00", "2"]}', {"m": ("1.00", "2")}),
}


def at(settings: Any, name: str) -> Any:
    for part in name.lower().split("__"):
        settings = getattr(settings, part)
    return settings


def all_names() -> set[str]:
    names = set()
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        names |= {f"{name}__{key}".upper() for key in inner} if inner else {name.upper()}
    return names


def test_this_table_has_every_setting() -> None:
    assert set(GOOD) | {"UPSTREAM__API_KEY"} == all_names()


@pytest.mark.parametrize("name", GOOD)
def test_each_is_read_from_its_variable(name: str, env: Any) -> None:
    text, value = GOOD[name]
    assert at(env(**{name: text}), name) == value


@pytest.mark.parametrize("name", GOOD)
def test_each_is_read_from_a_file_that_its_variable_names(
    name: str, env: Any, tmp_path: Path
) -> None:
    text, value = GOOD[name]
    (tmp_path / "secret").write_text(f"{text}\n")
    assert at(env(**{f"{name}_FILE": str(tmp_path / "secret")}), name) == value


BAD = {
    "ENV": ["", "Prod", "a_b", "x" * 17],
    "SERVER__PORT": ["-1", "65536", "http"],
    "SERVER__BODY_LIMIT": ["0", "1023"],
    "SERVER__SHUTDOWN_SECONDS": ["0"],
    "SERVER__KEEP_ALIVE_SECONDS": ["0", "-1"],
    "SERVER__CORS_ORIGINS": ["https://a.example"],
    "JWT__ALGORITHMS": ["RS256"],
    "JWT__LEEWAY_SECONDS": ["-1", "301"],
    "JWT__REQUESTS_PER_MINUTE": ["0"],
    "JWT__TOKENS_PER_MINUTE": ["0"],
    "DATABASE__LEASE_SECONDS": ["0.5"],
    "POLICY__ENGINE": ["rego", "WASM"],
    "POLICY__TIMEOUT_SECONDS": ["0", "-1"],
    "POLICY__CACHED_DECISIONS": ["-1"],
    "POLICY__BREAKER_FAILURES": ["-1"],
    "POLICY__OPA_CHILD": ["maybe"],
    "POLICY__MOST_STALE_SECONDS": ["0"],
    "UPSTREAM__MAX_OUTPUT_TOKENS": ["0"],
    "UPSTREAM__ATTEMPTS": ["0", "6"],
    "UPSTREAM__CONNECT_SECONDS": ["0"],
    "UPSTREAM__TOTAL_SECONDS": ["nan"],
    "UPSTREAM__MODELS": ["a,b", '"a"'],
    "REPLAY__PACE_SECONDS": ["-0.1"],
    "INSPECTION__ENABLED": ["maybe"],
    "CACHE__MOST_BYTES": ["-1"],
    "PRICES__OVERRIDES": ["cheap", '{"m": "1.00"}', '{"m": ["1.00"]}'],
}


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in BAD.items() for t in texts])
def test_what_cannot_be_is_refused(name: str, text: str, env: Any) -> None:
    with pytest.raises((ValidationError, SettingsError)):
        env(**{name: text})


@pytest.mark.parametrize(
    "name",
    ["PORT", "SERVERS__PORT", "SERVER__PROT", "SERVER__PORT__X", "DATA_DIR__X", "UPSTREAM_API_KEY",
     "FILE", "SERVER__PORTS_FILE", "NOTHING_FILE"],
)  # fmt: skip
def test_a_typing_error_is_no_default(name: str, env: Any) -> None:
    with pytest.raises((ValidationError, SettingsError)):
        env(**{name: "1"})


def test_c28_we_give_up_before_our_callers_do() -> None:
    """OpenAI's clients wait for 600 s, and Anthropic's as long."""
    upstream = load().upstream
    assert upstream.idle_seconds < upstream.first_byte_seconds < upstream.total_seconds < 600
    assert load().server.keep_alive_seconds < upstream.idle_seconds


def test_other_programs_variables_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER__PORT", "1")
    monkeypatch.setenv("OPENAI_API_KEY_FILE", "/nowhere")
    assert load() == Settings()
    assert load().server.port == 8080


def test_no_file_of_settings_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GOVGATE_ENV=other\n")
    monkeypatch.chdir(tmp_path)
    assert load().env == "dev"


class TestPrecedence:
    def test_the_code_comes_before_the_environment(self, env: Any) -> None:
        env(ENV="prod")
        assert Settings(env="test").env == "test"

    def test_one_member_may_be_set_beside_a_whole_section(self, env: Any) -> None:
        settings = env(SERVER='{"port": 99, "host": "h"}', SERVER__PORT="100")
        assert (settings.server.port, settings.server.host) == (100, "h")

    def test_a_value_and_a_file_for_it_are_one_too_many(self, env: Any, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("b")
        with pytest.raises(SettingsError, match="GOVGATE_UPSTREAM__API_KEY"):
            env(UPSTREAM__API_KEY="a", UPSTREAM__API_KEY_FILE=str(tmp_path / "key"))

    def test_settings_do_not_change(self) -> None:
        with pytest.raises(ValidationError):
            load().server.port = 1


class TestFiles:
    def test_a_secret_comes_without_its_last_line_end(self, env: Any, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("sk-1\n")
        settings = env(UPSTREAM__API_KEY_FILE=str(tmp_path / "key"))
        assert settings.upstream.api_key.get_secret_value() == "sk-1"

    @pytest.mark.parametrize("content", [None, b"\xff"], ids=["missing", "not text"])
    def test_one_that_cannot_be_read_is_an_error(
        self, content: bytes | None, env: Any, tmp_path: Path
    ) -> None:
        if content is not None:
            (tmp_path / "key").write_bytes(content)
        with pytest.raises(SettingsError, match="GOVGATE_UPSTREAM__API_KEY_FILE"):
            env(UPSTREAM__API_KEY_FILE=str(tmp_path / "key"))


def test_secrets_are_not_printed(env: Any) -> None:
    settings = env(UPSTREAM__API_KEY="sk-canary")
    assert "canary" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("given", "enabled"),
    [({}, False), ({"UPSTREAM__NAME": "x"}, False), ({"UPSTREAM__API_KEY": "k"}, True),
     ({"UPSTREAM__BASE_URL": "http://h/v1"}, True)],
)  # fmt: skip
def test_a_provider_is_used_once_it_can_be_reached(given: Any, enabled: bool, env: Any) -> None:
    assert env(**given).upstream.enabled is enabled


def test_what_is_kept_is_kept_in_the_data_directory(env: Any, tmp_path: Path) -> None:
    settings = env(DATA_DIR=str(tmp_path))
    assert settings.database_url == f"sqlite:///{tmp_path}/govgate.db"
    assert settings.keyring_path == tmp_path / "keyring.json"


def test_a_relative_data_directory_gives_an_absolute_url(env: Any) -> None:
    assert env(DATA_DIR="here").database_url == f"sqlite:///{Path.cwd()}/here/govgate.db"


def test_a_database_elsewhere_is_used_as_named(env: Any) -> None:
    url = "postgresql+psycopg://u@h/d"
    assert env(DATABASE__URL=url).database_url == url


def test_the_baseline_pack_is_there_unless_another_is_named(env: Any, tmp_path: Path) -> None:
    assert env().pack == baseline_pack()
    assert load_pack(read_folder(baseline_pack())).id == "baseline"
    assert env(POLICY__PACK=str(tmp_path)).pack == tmp_path
