"""A real OPA server, on a free port of the loopback interface, for the tests that need one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from opa_client.opa import OpaClient

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "policies" / "lib"
PACKAGE = "package govgate\n"
ANSWER = 'answer := {"revision": data.fixed.revision, "decision": decision}'
"""In place of what stands in policies/lib/served.rego."""
STARTING = 120.0  # seconds; a bound for a broken start, not a measure


def opa_binary() -> str:
    """The pinned `opa`. Without one, fails where CI is set and skips elsewhere."""
    found = subprocess.run([ROOT / ".ci" / "opa"], capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return found.stdout.strip()
    if os.environ.get("CI"):
        pytest.fail(f"these tests need OPA: {found.stderr.strip()}")
    pytest.skip(f"no OPA here: {found.stderr.strip()}")


class PolicyServer:
    """`opa run --server`, with the rule library and whatever pack a test gives it."""

    def __init__(self, binary: str, port: int = 0) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            self.port: int = probe.getsockname()[1]
        command = [binary, "run", "--server", "--addr", f"127.0.0.1:{self.port}"]
        self._process = subprocess.Popen(
            [*command, "--log-level", "error", "--skip-version-check"],
            stdout=subprocess.DEVNULL,
        )
        self._client = OpaClient(host="127.0.0.1", port=self.port, retries=0, timeout=10)
        self._await_ready()
        self.publish_library()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def publish_library(self) -> None:
        """The rule library as it stands in policies/lib, in one module: the server compiles
        each that it is given, and the files need one another."""
        files = [path for path in sorted(LIBRARY.glob("*.rego")) if "_test" not in path.name]
        self.publish_rules("\n".join(path.read_text().replace(PACKAGE, "") for path in files))

    def publish_pack(self, data: Mapping[str, Any]) -> None:
        """`data` as the only revision, in place of what was there."""
        self.publish_packs({data["revision"]: data} if data else {})

    def publish_packs(self, packs: Mapping[str, Mapping[str, Any]]) -> None:
        """What is decided by, by revision, in place of what was there."""
        self._client.update_or_create_data(dict(packs), "packs")

    def publish_rules(self, rego: str) -> None:
        """Rules of the package govgate, in place of those that were there."""
        self._client.update_policy_from_string(f"{PACKAGE}\n{rego}\n", "govgate", rego_compat=False)

    def publish_fixed(self, decision: object, revision: str) -> None:
        """A library that always answers `decision`; None is undefined."""
        always = "true" if decision is not None else "false"
        decided = f"decision := {json.dumps(decision)} if {always}"
        self.publish_rules(f"{decided}\n\n{ANSWER}")
        self._client.update_or_create_data({"revision": revision}, "fixed")

    def stop(self) -> None:
        self._client.close_connection()
        self._process.kill()
        self._process.wait()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + STARTING
        while not self._client.check_health():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the OPA server did not start")
            time.sleep(0.05)
