"""The command: what it prints, what it does to the database, how it says no."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway import running
from gateway.adapters.keyring import Keyring
from gateway.adapters.store.keys import SqlKeys
from gateway.cli import main
from gateway.core.principal import Limits, Principal
from gateway.settings import Settings


class Shell:
    """Runs commands on a database and a keyring in a folder of their own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.setenv = monkeypatch.setenv
        for name in list(os.environ):
            if name.startswith("GOVGATE_"):
                monkeypatch.delenv(name)
        monkeypatch.setenv("GOVGATE_DATA_DIR", str(folder))

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    def good(self, *arguments: str) -> str:
        told = self.run(*arguments)
        assert told.exit_code == 0, told.output
        return told.output

    def bad(self, *arguments: str) -> str:
        """What is said by a command that refuses, in words and not in a traceback."""
        told = self.run(*arguments)
        assert told.exit_code != 0
        assert isinstance(told.exception, SystemExit), told.exception
        assert "Traceback" not in told.output
        return told.output

    def created(self, *options: str) -> dict[str, str]:
        made: dict[str, str] = json.loads(
            self.good("keys", "create", "--app", "shop", "--json", *options)
        )
        return made

    def listed(self, *options: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.good("keys", "list", "--json", *options))
        return rows

    def whose(self, key: str) -> Principal | None:
        """Whose a key is to a gateway on the same folder."""
        pepper = Keyring.open(self.folder / "keyring.json", None).pepper

        async def ask() -> Principal | None:
            keys = SqlKeys(f"sqlite:///{self.folder / 'govgate.db'}", pepper)
            try:
                return await keys.principal(key)
            finally:
                await keys.stop()

        return asyncio.run(ask())


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(tmp_path, monkeypatch)


class TestCreate:
    def test_a_key_works_and_is_shown_once(self, shell: Shell) -> None:
        told = shell.good("keys", "create", "--app", "shop")
        key = told.split()[0]
        assert key.startswith("gg_dev_")
        principal = shell.whose(key)
        assert principal is not None
        assert principal.key_id in told
        assert principal == Principal("default", "default", "shop", principal.key_id)
        assert key not in shell.good("keys", "list") + shell.good("keys", "list", "--json")

    def test_with_everything(self, shell: Shell) -> None:
        shell.setenv("GOVGATE_ENV", "prod")
        made = shell.created(
            "--team", "web", "--org", "acme", "--model", "gpt-*", "--model", "local",
            "--scope", "chat.*", "--tag", "public", "--requests", "60", "--tokens", "9000",
            "--budget", "5.00", "--expires", "30d",
        )  # fmt: skip
        assert made["key"].startswith(f"gg_prod_{made['id']}_")
        principal = shell.whose(made["key"])
        assert principal is not None
        assert principal.budget_id is not None
        assert principal == Principal(
            "acme", "web", "shop", made["id"], scopes=("chat.*",), models=("gpt-*", "local"),
            tags=("public",), limits=Limits(60, 9_000), budget_id=principal.budget_id,
        )  # fmt: skip
        [row] = shell.listed("--org", "acme")
        expires = datetime.fromisoformat(row["expires"])
        assert abs(expires - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=5)
        assert shell.listed() == []

    @pytest.mark.parametrize(
        "options",
        [
            [],
            ["--app", "x", "--requests", "0"],
            ["--app", "x", "--tokens", "-1"],
            ["--app", "x", "--tokens", "many"],
            *(["--app", "x", "--budget", amount]
              for amount in ("-1", "five", "NaN", "Infinity", "1e30", "1000000000.01", "")),
            *(["--app", "x", "--expires", term]
              for term in ("30", "d", "-1d", "1.5d", "1w", "²d", "36501d", "9" * 30 + "s", "")),
        ],
        ids=" ".join,
    )  # fmt: skip
    def test_what_cannot_be_is_refused_and_nothing_is_made(
        self, options: list[str], shell: Shell
    ) -> None:
        shell.bad("keys", "create", *options)
        assert shell.listed() == []

    @pytest.mark.parametrize("amount", ["0", "0.000001", "5", "1000000000"])
    def test_amounts_that_can_be(self, amount: str, shell: Shell) -> None:
        principal = shell.whose(shell.created("--budget", amount)["key"])
        assert principal is not None
        assert principal.budget_id

    @pytest.mark.parametrize(
        ("term", "meant"),
        [("90s", timedelta(seconds=90)), ("5m", timedelta(minutes=5)), ("12h", timedelta(hours=12)),
         ("36500d", timedelta(days=36_500))],
    )  # fmt: skip
    def test_terms_that_can_be(self, term: str, meant: timedelta, shell: Shell) -> None:
        shell.created("--expires", term)
        [row] = shell.listed()
        until = datetime.fromisoformat(row["expires"]) - datetime.fromisoformat(row["created"])
        assert abs(until - meant) < timedelta(minutes=1)


class TestList:
    def test_nothing_is_an_empty_list(self, shell: Shell) -> None:
        assert shell.listed() == []
        assert shell.good("keys", "list") == ""

    def test_each_with_its_state_the_oldest_first(self, shell: Shell) -> None:
        good, gone = shell.created(), shell.created("--team", "web")
        old = shell.created("--expires", "0s")
        shell.good("keys", "revoke", gone["id"])
        rows = shell.listed()
        assert [(row["id"], row["state"]) for row in rows] == [
            (good["id"], "valid"), (gone["id"], "revoked"), (old["id"], "expired"),
        ]  # fmt: skip
        lines = shell.good("keys", "list").splitlines()
        assert [line.split()[:3] for line in lines] == [
            [good["id"], "valid", "default/default/shop"],
            [gone["id"], "revoked", "default/web/shop"],
            [old["id"], "expired", "default/default/shop"],
        ]


class TestRevoke:
    def test_a_revoked_key_is_nobodys(self, shell: Shell) -> None:
        made = shell.created()
        assert made["id"] in shell.good("keys", "revoke", made["id"])
        assert shell.whose(made["key"]) is None

    def test_twice_or_unknown_is_said(self, shell: Shell) -> None:
        made = shell.created()
        shell.good("keys", "revoke", made["id"])
        for key_id in (made["id"], "unheard-of"):
            assert f"no valid key {key_id}" in shell.bad("keys", "revoke", key_id)


class TestRotate:
    def test_the_new_secret_is_the_same_key(self, shell: Shell) -> None:
        made = shell.created("--tag", "public")
        fresh = json.loads(shell.good("keys", "rotate", made["id"], "--json"))
        assert fresh["id"] == made["id"]
        assert fresh["key"] != made["key"]
        assert shell.whose(made["key"]) is None
        principal = shell.whose(fresh["key"])
        assert principal is not None
        assert (principal.key_id, principal.tags) == (made["id"], ("public",))

    def test_the_old_secret_may_stay_good_for_a_while(self, shell: Shell) -> None:
        made = shell.created()
        told = shell.good("keys", "rotate", made["id"], "--grace", "1h")
        assert shell.whose(made["key"]) == shell.whose(told.split()[0]) is not None

    def test_a_key_that_is_gone_gets_none(self, shell: Shell) -> None:
        made = shell.created()
        shell.good("keys", "revoke", made["id"])
        assert "no valid key" in shell.bad("keys", "rotate", made["id"])
        shell.bad("keys", "rotate", made["id"], "--grace", "forever")


class TestMigrate:
    def test_it_may_be_run_again(self, shell: Shell) -> None:
        for _ in range(2):
            assert "up to date: sqlite:///" in shell.good("migrate")
        assert (shell.folder / "govgate.db").exists()

    def test_a_password_is_not_shown(self, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
        migrated: list[str] = []
        monkeypatch.setattr("gateway.adapters.store.migrate.migrate", migrated.append)
        url = "postgresql+psycopg://u:canary@h/d"
        shell.setenv("GOVGATE_DATABASE__URL", url)
        told = shell.good("migrate")
        assert migrated == [url]
        assert "u:***@h/d" in told
        assert "canary" not in told


class TestDoctor:
    def test_all_is_well(self, shell: Shell) -> None:
        shell.good("migrate")
        assert [line.split() for line in shell.good("doctor").splitlines()] == [
            ["database", "ok"], ["policy", "ok"], ["log", "ok"],
        ]  # fmt: skip

    def test_a_pack_that_cannot_be_used_is_found(self, shell: Shell) -> None:
        shell.good("migrate")
        shell.setenv("GOVGATE_POLICY__PACK", str(shell.folder / "nowhere"))
        told = shell.bad("doctor")
        assert told.startswith("start")
        assert "pack.yaml" in told

    def test_a_policy_engine_that_does_not_answer_is_found(self, shell: Shell) -> None:
        shell.good("migrate")
        shell.setenv("GOVGATE_POLICY__ENGINE", "opa")
        shell.setenv("GOVGATE_POLICY__OPA_URL", "http://127.0.0.1:1")
        states = dict(line.split(maxsplit=1) for line in shell.bad("doctor").splitlines())
        assert states["database"] == "ok"
        assert "Unavailable" in states["policy"]

    def test_a_database_that_was_not_migrated_is_found(self, shell: Shell) -> None:
        assert "ok" not in shell.bad("doctor")


class TestServe:
    def test_options_come_before_settings(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        served: list[Settings] = []
        monkeypatch.setattr(running, "serve", served.append)
        shell.setenv("GOVGATE_SERVER__PORT", "9000")
        shell.setenv("GOVGATE_SERVER__BODY_LIMIT", "2048")
        shell.good("serve")
        shell.good("serve", "--port", "0", "--host", "::")
        found = [(each.server.host, each.server.port, each.server.body_limit) for each in served]
        assert found == [("127.0.0.1", 9_000, 2_048), ("::", 0, 2_048)]

    def test_the_tour_may_end_by_itself(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[bool] = []
        monkeypatch.setattr(running, "demo", lambda settings, *, once: asked.append(once))
        shell.good("demo", "--once")
        shell.good("demo")
        assert asked == [True, False]

    @pytest.mark.parametrize("port", ["-1", "65536", "99999", "x"])
    def test_a_port_that_is_none_is_refused(self, shell: Shell, port: str) -> None:
        assert "--port" in shell.bad("serve", "--port", port)


WRONG: dict[str, dict[str, str]] = {
    "no URL of a database": {"DATABASE__URL": "postgresql//canary"},
    "a database's URL without a port": {"DATABASE__URL": "postgresql://u:canary@h:x/d"},
    "another kind of database": {"DATABASE__URL": "mysql://u:canary@h/d"},
    "no database there": {"DATABASE__URL": "postgresql+psycopg://u:canary@127.0.0.1:1/d"},
    "no driver": {"DATABASE__URL": "sqlite+nothing:///x"},
    "no pack": {"POLICY__PACK": "nowhere"},
    "no routes file": {"ROUTES": "nowhere.yaml"},
    "JWT without keys": {"JWT__ISSUER": "i", "JWT__AUDIENCE": "a"},
    "JWT without an issuer": {"JWT__JWKS": "{}", "JWT__AUDIENCE": "a"},
    "JWT without an audience": {"JWT__ISSUER": "i", "JWT__JWKS_URL": "https://h/x"},
    "JWT keys that are none": {"JWT__ISSUER": "i", "JWT__AUDIENCE": "a", "JWT__JWKS": "canary"},
    "JWT keys in clear": {"JWT__ISSUER": "i", "JWT__AUDIENCE": "a", "JWT__JWKS_URL": "http://h/x"},
    "an origin with a slash": {"SERVER__CORS_ORIGINS": '["https://a.example/"]'},
    "a base URL without a scheme": {"UPSTREAM__BASE_URL": "api.example.org/v1"},
    "a base URL astray": {"UPSTREAM__BASE_URL": "http://169.254.169.254/v1"},
    "a name that is taken": {"UPSTREAM__NAME": "replay", "UPSTREAM__API_KEY": "canary"},
    "a price below nothing": {"PRICES__OVERRIDES": '{"m": ["-1", "1"]}'},
    "a price that is none": {"PRICES__OVERRIDES": '{"m": ["cheap", "1"]}'},
}
NAMED = {
    "JWT without keys": "GOVGATE_JWT__JWKS_URL or GOVGATE_JWT__JWKS",
    "JWT without an issuer": "GOVGATE_JWT__ISSUER",
    "JWT without an audience": "GOVGATE_JWT__AUDIENCE",
    "JWT keys that are none": "GOVGATE_JWT__JWKS",
    "JWT keys in clear": "GOVGATE_JWT__JWKS_URL",
    "a name that is taken": "GOVGATE_UPSTREAM__NAME",
}
"""What is named, where it is not the first setting that was given."""


@pytest.mark.parametrize("why", WRONG)
def test_what_cannot_start_is_said_in_a_line(
    why: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.uvicorn.Server, "run", lambda server: pytest.fail("it serves"))
    monkeypatch.setattr(running, "_freeze", lambda: None)
    for name, value in WRONG[why].items():
        shell.setenv(f"GOVGATE_{name}", value)
    told = shell.bad("serve")
    assert (NAMED.get(why) or f"GOVGATE_{next(iter(WRONG[why]))}") in told
    assert len(told.splitlines()) == 1
    assert "canary" not in told


def test_a_level_that_is_none_is_said(shell: Shell) -> None:
    shell.setenv("LOG_LEVEL", "loud")
    assert shell.bad("serve").startswith("cannot start: LOG_LEVEL: ")


def test_where_it_was_is_told_to_who_asks_and_no_value_with_it(shell: Shell) -> None:
    shell.setenv("GOVGATE_DATABASE__URL", "mysql://u:canary@h/d")
    shell.setenv("LOG_LEVEL", "DEBUG")
    told = CliRunner().invoke(main, ["migrate"])
    assert "in open_engine" in told.output
    assert told.output.splitlines()[-1].startswith("cannot start: GOVGATE_DATABASE__URL: ")
    assert "canary" not in told.output


@pytest.mark.parametrize(
    ("name", "value", "shape"),
    [
        ("GOVGATE_UPSTREAM__MODELS", "a,b", "list"),
        ("GOVGATE_UPSTREAM__MODELS", '{"a": 1}', "list"),
        ("GOVGATE_SERVER__CORS_ORIGINS", "https://a.example", "list"),
        ("GOVGATE_JWT__ALGORITHMS", "RS256", "list"),
        ("GOVGATE_PRICES__OVERRIDES", "m=1", "object"),
        ("GOVGATE_UPSTREAM", "canary", "object"),
    ],
)
def test_json_is_asked_for_by_name(name: str, value: str, shape: str, shell: Shell) -> None:
    shell.setenv(name, value)
    told = shell.bad("migrate")
    assert told.startswith(f"{name} must be a JSON {shape}")
    assert "canary" not in told


def test_words_are_not_the_frameworks(shell: Shell) -> None:
    shell.setenv("GOVGATE_KEY", "gg_canary")
    told = shell.bad("migrate")
    assert told == "GOVGATE_KEY is no setting; see docs/reference/settings.md\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOVGATE_SERVER__PORT", "http"),
        ("GOVGATE_SERVER__PROT", "1"),
        ("GOVGATE_SERVERS", "1"),
        ("GOVGATE_UPSTREAM__MODELS", "a,b"),
        ("GOVGATE_UPSTREAM__API_KEY_FILE", "nowhere"),
    ],
)
@pytest.mark.parametrize("command", ["serve", "migrate", "doctor", "keys list"])
def test_settings_that_cannot_be_are_told_by_name(
    name: str, value: str, command: str, shell: Shell
) -> None:
    shell.setenv(name, value)
    assert name.removesuffix("__MODELS").rpartition("GOVGATE_")[2].lower() in (
        shell.bad(*command.split()).lower()
    )


def test_the_version_is_that_of_the_distribution(shell: Shell) -> None:
    assert shell.good("--version").strip().endswith("0.1.0")


ROUTES = """\
providers:
  - {name: house, kind: replay}
  - {name: eu, kind: openai, region: eu, api_key: {stored: eu}}
models:
  - name: smart
    strategy: cost
    targets:
      - {provider: eu, model: some-model, price: {input: 1, output: 2}}
      - {provider: house, model: replay}
  - {name: hidden, listed: false, targets: [{provider: house}]}
"""


class TestCredentials:
    SECRET = "sk-canary-1"

    def stored(self, shell: Shell, name: str, secret: str = SECRET) -> Result:
        return CliRunner().invoke(main, ["credentials", "set", name], input=f"{secret}\n")

    def test_they_are_stored_listed_and_removed_and_never_shown(self, shell: Shell) -> None:
        assert self.stored(shell, "eu").output == "stored: eu\n"
        assert self.stored(shell, "eu").output == "replaced: eu\n"
        listed = shell.good("credentials", "list")
        rows = json.loads(shell.good("credentials", "list", "--json"))
        assert [row["name"] for row in rows] == ["eu"]
        assert listed.startswith("eu ")
        assert self.SECRET not in listed + json.dumps(rows)
        assert shell.good("credentials", "remove", "eu") == "removed: eu\n"
        assert shell.bad("credentials", "remove", "eu") == "there is no credential eu\n"
        assert self.SECRET.encode() not in (shell.folder / "govgate.db").read_bytes()

    @pytest.mark.parametrize(("name", "secret"), [("a b", "x"), ("eu", "")])
    def test_what_cannot_be_stored_is_refused(self, shell: Shell, name: str, secret: str) -> None:
        told = self.stored(shell, name, secret)
        assert told.exit_code == 1
        assert isinstance(told.exception, SystemExit)


class TestModels:
    def test_names_and_targets_are_shown(self, shell: Shell) -> None:
        (shell.folder / "routes.yaml").write_text(ROUTES)
        shell.setenv("GOVGATE_ROUTES", str(shell.folder / "routes.yaml"))
        assert "govgate credentials set eu" in shell.bad("models")
        CliRunner().invoke(main, ["credentials", "set", "eu"], input="sk-1")
        rows = {row["name"]: row for row in json.loads(shell.good("models", "--json"))}
        assert set(rows) == {"replay-small", "replay-large", "smart", "hidden"}
        assert rows["smart"]["strategy"] == "cost"
        assert [target["provider"] for target in rows["smart"]["targets"]] == ["eu", "house"]
        assert rows["smart"]["targets"][0]["price"] == "route 1/2"
        assert (rows["smart"]["listed"], rows["hidden"]["listed"]) == (True, False)
        assert "eu/some-model  external eu  route 1/2" in shell.good("models")

    @pytest.mark.parametrize("command", ["models", "serve"])
    def test_a_file_that_cannot_be_used_is_said_with_its_line(
        self, shell: Shell, command: str
    ) -> None:
        (shell.folder / "routes.yaml").write_text(ROUTES.replace("name: smart", "nam: smart"))
        shell.setenv("GOVGATE_ROUTES", str(shell.folder / "routes.yaml"))
        assert "routes.yaml:5: models.0.nam: there is no such member" in shell.bad(command)

    def test_what_serve_would_refuse_is_refused(self, shell: Shell) -> None:
        providers = (
            "{name: house, kind: openai, base_url: 'http://127.0.0.1:1/v1'}",
            "{name: eu, kind: openai, api_key: {env: NO_SUCH_VARIABLE}}",
        )
        listed = "".join(f"  - {provider}\n" for provider in providers)
        models = ROUTES.partition("models:")[2]
        (shell.folder / "routes.yaml").write_text(f"providers:\n{listed}models:{models}")
        shell.setenv("GOVGATE_ROUTES", str(shell.folder / "routes.yaml"))
        told = shell.bad("models")
        assert "provider 'house': " in told
        assert "allow_private" in told
        assert "NO_SUCH_VARIABLE" in told
        assert not (shell.folder / "govgate.db").exists()  # which it needed nothing of

    def test_a_name_that_the_settings_have_taken_is_refused(self, shell: Shell) -> None:
        (shell.folder / "routes.yaml").write_text(ROUTES.replace("house", "replay"))
        shell.setenv("GOVGATE_ROUTES", str(shell.folder / "routes.yaml"))
        assert "the settings have a provider 'replay' already" in shell.bad("models")
