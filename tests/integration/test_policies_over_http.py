"""Policymaking over HTTP: a real gateway, a real client, every route and every role."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from gateway.adapters.packs import read_folder
from gateway.core.roles import Role
from gateway.settings import baseline_pack
from tests.houses import House, embedded

PAGE = (Path(__file__).parents[2] / "docs/reference/policies-api.md").read_text()
BASE = "/api/v1/policies"
PATIENCE = 30.0
"""Seconds; a bound for what never comes."""
BODIES: Mapping[str, dict[str, Any]] = {
    "POST /drafts": {"pack": "nowhere"},
    "PUT /drafts/{id}": {"files": {}},
    "PATCH /drafts/{id}": {"changes": []},
    "POST /drafts/{id}/cases": {"exchange_id": "exc_1", "name": "x"},
    "POST /releases/{id}/approve": {"revision": "x"},
    "POST /releases/{id}/reject": {"revision": "x", "comment": "no"},
    "POST /releases/{id}/break-glass": {"reason": "fire"},
    "POST /rollback": {"to": "nowhere"},
    "PUT /shadow": {"release": "nowhere"},
    "PUT /canary": {"release": "nowhere", "percent": 1},
    "POST /stops": {"what": "app", "name": "nobody", "reason": "a test"},
    "POST /stops/{id}/lift": {"reason": "a test"},
    "POST /publish": {"files": {}, "source": "a1b2c3d"},
    "POST /drift": {"files": {}},
    "PUT /packs/{id}/owner": {"owner": "git"},
}
"""What each route is sent that wants a body: valid, and of things that are not there."""
QUERIES = {"GET /effective": "?app=shop&model=replay-small"}


def documented() -> dict[str, frozenset[str]]:
    """Who may ask which route, as the page says."""
    who = {
        name: frozenset(re.findall(r"`([a-z_]+)`", roles))
        for name, roles in re.findall(r"^\| \*([a-z]+)\* \| (.*) \|$", PAGE, re.MULTILINE)
    }
    rows = re.findall(rf"^\| `([A-Z]+) {BASE}(\S*)` \| ([a-z]+) \|", PAGE, re.MULTILINE)
    return {f"{method} {path}": who[name] for method, path, name in rows}


class Described:
    """What the gateway says of its own answers."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._components = told["components"]
        self._paths = {
            re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))): methods
            for path, methods in told["paths"].items()
        }

    def check(self, method: str, path: str, status: int, body: Any) -> None:
        (methods,) = [
            methods
            for known, methods in self._paths.items()
            if known.fullmatch(f"{BASE}{path.partition('?')[0]}")
        ]
        content = methods[method.lower()]["responses"][str(status)]["content"]
        schema = content["application/json"]["schema"]
        Draft202012Validator({**schema, "components": self._components}).validate(body)


@cache
def described(client: httpx.Client) -> Described:
    return Described(client.get("/api/v1/openapi.json").json())


class Person:
    """Somebody with a key."""

    def __init__(self, house: House, *roles: str, **options: str) -> None:
        told = [f"--role={role}" for role in roles]
        told += [f"--{name}={value}" for name, value in options.items()]
        headers = {"authorization": f"Bearer {house.key(*told)}"}
        root = house.base_url.removesuffix("/v1")
        self.client = httpx.Client(base_url=root, headers=headers, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, edition: int = 0) -> httpx.Response:
        match = {"if-match": f'"{edition}"'} if edition else {}
        return self.client.request(method, f"{BASE}{path}", json=body, headers=match)

    def done(self, method: str, path: str, body: Any = None, edition: int = 0) -> Any:
        """What is answered, which is what is documented."""
        answer = self.ask(method, path, body, edition)
        assert answer.is_success, answer.text
        told = answer.json()
        described(self.client).check(method, path, answer.status_code, told)
        return told

    def refused(
        self, status: int, code: str, method: str, path: str, body: Any = None, edition: int = 0
    ) -> dict[str, Any]:
        answer = self.ask(method, path, body, edition)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"].startswith("application/problem+json")
        told: dict[str, Any] = answer.json()
        assert (told["code"], told["status"]) == (code, status)
        assert told["detail"].endswith((".", "?"))
        return told


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = embedded(tmp_path_factory.mktemp("policies"))
    house.start()
    yield house
    house.stop()


@pytest.fixture
def ann(served: House) -> Person:
    return Person(served, "policy_author", app="ann")


@pytest.fixture
def bob(served: House) -> Person:
    return Person(served, "policy_approver", app="bob")


@pytest.fixture
def root(served: House) -> Person:
    return Person(served, "admin", app="root")


def phrase(text: str) -> dict[str, Any]:
    return {"change": "AddPhrase", "list": "weapons", "language": "en", "phrase": text}


def changed(ann: Person, text: str) -> dict[str, Any]:
    """A release with a phrase more, handed in."""
    draft = ann.done("POST", "/drafts", {"pack": "baseline"})
    ann.done("PATCH", f"/drafts/{draft['id']}", {"changes": [phrase(text)]}, 1)
    release: dict[str, Any] = ann.done("POST", f"/drafts/{draft['id']}/submit", {"note": text}, 2)
    return release


def test_every_route_and_every_role_is_as_documented(served: House, root: Person) -> None:
    """The routes are those that the gateway itself describes."""
    described = root.client.get("/api/v1/openapi.json").json()["paths"]
    mine = {
        f"{method.upper()} {path.removeprefix(BASE)}": about
        for path, methods in described.items()
        if path.startswith(f"{BASE}/")
        for method, about in methods.items()
    }
    expected = documented()
    assert mine.keys() == expected.keys()
    people = {str(role): Person(served, str(role)) for role in Role}
    for route in mine:
        method, _, place = route.partition(" ")
        path = re.sub(r"\{\w+\}", "nowhere", place) + QUERIES.get(route, "")
        body = BODIES.get(route)
        for role, person in people.items():
            answer = person.ask(method, path, body, edition=0 if method == "GET" else 1)
            assert answer.status_code < 500, (route, role, answer.text)
            refused = answer.status_code == 403
            assert refused is (role not in expected[route]), (route, role, answer.text)
            if refused:
                assert answer.json()["code"] == "insufficient_role"
            else:
                assert answer.status_code != 405
                assert answer.is_success or answer.json()["code"] != "invalid_request", route
    nobody = httpx.get(f"{served.base_url.removesuffix('/v1')}{BASE}/status")
    assert nobody.status_code == 401


def test_a_scope_and_an_organisation_are_needed_too(served: House) -> None:
    chatty = Person(served, "admin", scope="chat.*")
    chatty.refused(403, "insufficient_scope", "GET", "/status")
    other = Person(served, "admin", org="elsewhere")
    other.refused(403, "insufficient_role", "GET", "/status")
    other.refused(403, "insufficient_role", "POST", "/drafts", {"pack": "baseline"})


def test_a_change_from_end_to_end(ann: Person, bob: Person) -> None:
    before = bob.done("GET", "/status")["rollout"]
    draft = ann.done("POST", "/drafts", {"pack": "baseline", "note": "a heron"})
    place = f"/drafts/{draft['id']}"
    saved = ann.done("PATCH", place, {"changes": [phrase("blue heron")]}, 1)
    assert saved["edition"] == 2
    diff = ann.done("GET", f"{place}/diff")
    assert diff == ann.done("POST", f"{place}/validate")
    assert (diff["problems"], diff["widening"]) == ([], False)
    assert diff["changes"][0]["phrases_added"] == ["blue heron"]
    tests = ann.done("POST", f"{place}/tests")
    assert tests["passed"]
    assert tests["cases"]
    release = ann.done("POST", f"{place}/submit", {}, 2)
    assert (release["state"], release["note"]) == ("waiting", "a heron")
    at, say = f"/releases/{release['id']}", {"revision": release["revision"]}

    refused = bob.refused(409, "step_refused", "POST", f"{at}/activate")
    assert "approve" in refused["detail"]
    both = {"revision": "sha256:another"}
    bob.refused(409, "step_refused", "POST", f"{at}/approve", both)
    approved = bob.done("POST", f"{at}/approve", say)
    assert approved["state"] == "approved"
    assert bob.done("POST", f"{at}/approve", say) == approved
    shadowed = bob.done("PUT", "/shadow", {"release": release["id"]})
    assert bob.done("PUT", "/shadow", {"release": release["id"]}) == shadowed
    tried = bob.done("PUT", "/canary", {"release": release["id"], "teams": ["risk"]})
    assert (tried["shadow"], tried["trying"]) == (release["id"], release["id"])
    assert tried["canary"] == {"percent": 0, "teams": ["risk"], "keys": []}
    ended = bob.done("DELETE", "/canary")
    assert ended["trying"] is None
    assert bob.done("DELETE", "/canary") == ended

    active = bob.done("POST", f"{at}/activate", {"why": "herons"})
    assert (active["active"], active["why"]) == (release["id"], "herons")
    assert bob.done("POST", f"{at}/activate") == active
    assert ann.done("GET", at)["state"] == "active"
    back = bob.done("POST", "/rollback", {"why": "no herons"})
    assert (back["active"], back["step"]) == (before["active"], "rolled_back")
    assert bob.done("POST", "/rollback", {"to": before["active"]}) == back
    numbers = [one["number"] for one in bob.done("GET", "/rollouts")["rollouts"]]
    assert numbers == sorted(numbers, reverse=True)
    assert back["number"] == numbers[0] == before["number"] + 5


def test_what_is_activated_refuses_at_once_and_is_acknowledged(
    served: House, ann: Person, bob: Person
) -> None:
    release = changed(ann, "green ibis")
    said = {"revision": release["revision"]}
    bob.done("POST", f"/releases/{release['id']}/approve", said)
    asked = {"model": "replay-small", "messages": [{"role": "user", "content": "A green ibis"}]}

    def ask() -> httpx.Response:
        return ann.client.post("/v1/chat/completions", json=asked)

    assert ask().status_code == 200
    active = bob.done("POST", f"/releases/{release['id']}/activate")
    told = served.run("policy", "status", "--wait", "30", "--json")
    assert told.returncode == 0, told.stdout + told.stderr
    status = bob.done("GET", "/status")
    assert status["acknowledged"] is True
    assert [node["rollout"] for node in status["nodes"]] == [active["number"]]
    refused = ask()
    assert refused.status_code == 400
    assert refused.headers["x-govgate-policy-revision"] == release["revision"]
    bob.done("POST", "/rollback")
    assert served.run("policy", "status", "--wait", "30").returncode == 0
    assert ask().status_code == 200


def test_a_replay_is_asked_for_and_looked_at_later(served: House, ann: Person, bob: Person) -> None:
    asked = {"model": "replay-small", "messages": [{"role": "user", "content": "Hello"}]}
    past = Person(served, app="past")
    past.client.post("/v1/chat/completions", json=asked).raise_for_status()
    draft = ann.done("POST", "/drafts", {"pack": "baseline"})
    place = f"/drafts/{draft['id']}"
    narrow = {"change": "SetValue", "rule": "models.all", "path": ["params", "models"],
              "value": ["gpt-*"]}  # fmt: skip
    ann.done("PATCH", place, {"changes": [narrow]}, 1)
    ann.refused(400, "invalid_request", "POST", f"{place}/replay", {"most": 100_001})
    ann.refused(400, "invalid_request", "POST", f"{place}/replay", {"most": 0})

    def replayed() -> dict[str, Any]:
        """What a replay said once it was over."""
        answer = ann.ask("POST", f"{place}/replay", {"app": ["past"]})
        assert answer.status_code == 202
        at = answer.headers["location"].removeprefix(BASE)
        began = time.monotonic()
        while (job := bob.done("GET", at))["state"] == "running":
            assert time.monotonic() - began < PATIENCE
        return dict(job)

    began = time.monotonic()
    while (job := replayed())["result"]["replayed"] == 0:  # until it is in the index
        assert time.monotonic() - began < PATIENCE, job
    assert (job["state"], job["by"], job["failed"]) == ("done", draft["author"], None)
    assert job["result"]["newly_denied"] == job["result"]["replayed"] == 1
    kept = ann.done("GET", place)
    assert kept["replay"] == job["result"]
    assert kept["edition"] == job["edition"] + 1
    bob.refused(404, "not_found", "GET", "/replays/rpl_x")
    ann.done("DELETE", place)


def test_which_rules_apply_and_why(ann: Person) -> None:
    told = ann.done("GET", "/effective?app=shop&team=risk&model=replay-small&locale=fr")
    (target,) = told["targets"]
    rules = {rule["rule"]: rule for rule in target["rules"]}
    assert rules["models.all"]["applies"] is True
    assert rules["cache.answers"]["cause"] == "off"
    for query in ("app=shop", "app=a&app=b&model=m", "app=a&model=m&colour=red",
                  "app=a&model=m&locale=de"):  # fmt: skip
        ann.refused(400, "invalid_request", "GET", f"/effective?{query}")
    there = ann.done("GET", "/effective?app=a&tag=x&tag=y&model=nobodys&hosting=local&region=eu")
    assert (there["tags"], len(there["targets"])) == (["x", "y"], 1)
    assert (there["targets"][0]["hosting"], there["targets"][0]["region"]) == ("local", "eu")


def test_two_who_save_one_draft(ann: Person, root: Person) -> None:
    draft = ann.done("POST", "/drafts", {"pack": "baseline"})
    place = f"/drafts/{draft['id']}"
    answer = root.ask("GET", place)
    assert answer.headers["etag"] == '"1"'
    root.done("PUT", place, {"files": {**draft["files"], "NOTES.md": "mine\n"}}, 1)
    told = ann.refused(412, "precondition_failed", "PUT", place, {"files": {}}, 1)
    assert "edition 2" in told["detail"]
    ann.refused(428, "precondition_required", "PUT", place, {"files": {}})
    ann.refused(412, "precondition_failed", "POST", f"{place}/submit", {}, 1)
    answer = ann.client.put(f"{BASE}{place}", json={"files": {}}, headers={"if-match": "W/x"})
    assert answer.status_code == 412
    assert root.done("GET", place)["files"]["NOTES.md"] == "mine\n"
    release = ann.done("POST", f"{place}/submit", {}, 2)
    assert len(release["people"]) == 2
    both = {"revision": release["revision"]}
    told = root.refused(409, "step_refused", "POST", f"/releases/{release['id']}/approve", both)
    assert "worked on" in told["detail"]
    root.refused(404, "not_found", "GET", place)


def test_what_cannot_be_used_says_why(ann: Person) -> None:
    draft = ann.done("POST", "/drafts", {"pack": "baseline"})
    broken = {**draft["files"], "rules/bad.yaml": "id: bad\nkind: phrsae\n"}
    place = f"/drafts/{draft['id']}"
    ann.done("PUT", place, {"files": broken}, 1)
    problems = ann.done("POST", f"{place}/validate")["problems"]
    assert any(problem["file"] == "rules/bad.yaml" and problem["fix"] for problem in problems)
    told = ann.refused(422, "unusable_pack", "POST", f"{place}/submit", {}, 2)
    assert told["problems"] == problems
    unknown = {"changes": [{"change": "Conjure"}]}
    assert ann.refused(422, "unusable_pack", "PATCH", place, unknown, 2)["problems"]
    ann.refused(400, "invalid_request", "PUT", place, {"files": {"../x": "y"}}, 2)
    ann.refused(400, "invalid_request", "POST", "/drafts", {"pack": "x", "owner": "me"})
    broken_json = ann.client.post(f"{BASE}/drafts", content=b"{")
    assert broken_json.json()["code"] == "invalid_json"
    assert ann.done("DELETE", place) == {"id": draft["id"], "deleted": True}


def test_a_stale_release_says_what_to_do(ann: Person, bob: Person) -> None:
    first, second = changed(ann, "red kite"), changed(ann, "black kite")
    for release in (first, second):
        said = {"revision": release["revision"]}
        bob.done("POST", f"/releases/{release['id']}/approve", said)
    bob.done("POST", f"/releases/{first['id']}/activate")
    place = f"/releases/{second['id']}"
    assert bob.done("GET", place)["state"] == "stale"
    told = bob.refused(409, "step_refused", "POST", f"{place}/activate")
    assert "reopen" in told["detail"]
    bob.done("POST", "/rollback")


def test_git_owns_what_it_published(ann: Person, bob: Person, root: Person) -> None:
    files = dict(read_folder(baseline_pack()))
    assert ann.done("POST", "/drift", {"files": files}) == {"differs": []}
    assert root.done("PUT", "/packs/baseline/owner", {"owner": "git"})["owner"] == "git"
    assert root.done("PUT", "/packs/baseline/owner", {"owner": "git"})["owner"] == "git"
    told = ann.refused(409, "owned_elsewhere", "POST", "/drafts", {"pack": "baseline"})
    assert "Git" in told["detail"]
    proposed = ann.done("POST", "/drafts", {"pack": "baseline", "proposing": True})
    place = f"/drafts/{proposed['id']}"
    ann.done("PATCH", place, {"changes": [phrase("white stork")]}, 1)
    patch = ann.ask("GET", f"{place}/patch")
    assert patch.headers["content-type"].startswith("text/x-diff")
    assert re.search(r"^\+ .*white stork", patch.text, re.MULTILINE)
    ann.refused(409, "owned_elsewhere", "POST", f"{place}/submit", {}, 2)
    merged = ann.done("GET", place)["files"]
    assert ann.done("POST", "/drift", {"files": merged}) == {"differs": ["lists/weapons.yaml"]}
    source = "a1b2c3d policies/packs/baseline"
    release = ann.done("POST", "/publish", {"files": merged, "source": source})
    said = {"revision": release["revision"]}
    bob.done("POST", f"/releases/{release['id']}/approve", said)
    bob.done("POST", f"/releases/{release['id']}/activate")
    pack = ann.done("GET", "/packs/baseline")
    assert (pack["owner"], pack["in_force"]["source"]) == ("git", source)
    assert "phrases.weapons.deny" in pack["sentences"]["fr"]
    version = ann.done("GET", f"/versions/{pack['in_force']['digest']}")
    first, again = (ann.ask("GET", "/packs/baseline/export").content for _ in range(2))
    assert first == again
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        held = {name: archive.read(name).decode() for name in archive.namelist()}
    assert held == version["files"] == merged
    bob.done("POST", "/rollback")
    root.done("PUT", "/packs/baseline/owner", {"owner": "console"})


def test_break_glass_is_a_debt(ann: Person, bob: Person, root: Person) -> None:
    release = changed(ann, "grey crane")
    place = f"/releases/{release['id']}"
    root.refused(400, "invalid_request", "POST", f"{place}/break-glass", {"reason": " "})
    root.done("POST", f"{place}/break-glass", {"reason": "an incident"})
    assert root.done("GET", "/status")["debts"] == [release["id"]]
    told = root.ask("POST", f"{place}/approve", {"revision": release["revision"]})
    assert told.status_code == 409
    bob.done("POST", f"{place}/approve", {"revision": release["revision"]})
    assert root.done("GET", "/status")["debts"] == []
    bob.done("POST", "/rollback")


def test_a_stop_holds_in_this_process_at_once(served: House, bob: Person) -> None:
    app = Person(served, app="halted")
    asked = {"model": "replay-small", "messages": [{"role": "user", "content": "Hello"}]}

    def becomes(status: int) -> float:
        """After how many seconds the application is answered so."""
        began = time.monotonic()
        while (answer := app.client.post("/v1/chat/completions", json=asked)).status_code != status:
            assert time.monotonic() - began < PATIENCE, answer.text
        return time.monotonic() - began

    becomes(200)
    stop = bob.done("POST", "/stops", {"what": "app", "name": "halted", "reason": "a test"})
    assert becomes(403) < 1
    standing = [one["id"] for one in bob.done("GET", "/stops")["stops"] if not one["lifted_at"]]
    assert stop["id"] in standing
    bob.done("POST", f"/stops/{stop['id']}/lift", {"reason": "over"})
    assert becomes(200) < 1
    bob.refused(404, "not_found", "POST", f"/stops/{stop['id']}/lift", {"reason": "again"})
