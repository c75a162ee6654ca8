"""Any text survives every format, as the format's own readers read it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from typing import Any

import msgspec
from hypothesis import given

from gateway.core.records import canonical
from gateway.governance.formats import FORMATS
from gateway.governance.formats.csv import COLUMNS
from gateway.governance.formats.view import View
from tests.unit.governance.formats.views import VIEWS, a_view


@given(VIEWS)
def test_no_line_has_a_line_break_but_in_quotes(view: View) -> None:
    for name, format in FORMATS.items():
        if name != "csv":
            assert not re.search(rb"[\r\n]", format.line(view))


@given(VIEWS)
def test_jsonl_is_the_view_again(view: View) -> None:
    line = FORMATS["jsonl"].line(view)
    assert msgspec.json.decode(line, type=View) == view
    assert json.loads(line)["leaf_index"] == 7


@given(VIEWS)
def test_csv_says_the_same_and_no_cell_is_a_formula(view: View) -> None:
    text = FORMATS["csv"].head + FORMATS["csv"].line(view) + FORMATS["csv"].end
    head, row = csv.reader(io.StringIO(text.decode(), newline=""), strict=True)
    assert tuple(head) == COLUMNS
    assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
    told = dict(zip(head, (cell.removeprefix("'") for cell in row), strict=True))
    for name in ("team", "app", "model", "code"):
        assert told[name] == (getattr(view, name) or "")
    assert json.loads(told["findings"]) == view.findings
    assert told["leaf_index"] == "7"


def parsed(line: str) -> tuple[list[str], dict[str, str]]:
    """A CEF line as its readers take it apart."""
    *head, extension = re.split(r"(?<!\\)(?:(?:\\\\)*)\|", line, maxsplit=7)
    found = list(re.finditer(r"(?:^|(?<= ))([A-Za-z0-9]+)=", extension))
    ends = [one.start() - 1 for one in found[1:]] + [len(extension)]
    values = {
        one[1]: re.sub(
            r"\\(.)", lambda part: {"n": "\n", "r": "\r"}.get(part[1], part[1]),
            extension[one.end() : end],
        )
        for one, end in zip(found, ends, strict=True)
    }  # fmt: skip
    return head, values


@given(VIEWS)
def test_cef_survives_its_parser(view: View) -> None:
    head, values = parsed(FORMATS["cef"].line(view).decode())
    assert head[:4] == ["CEF:0", "Govgate", "govgate", "1"]
    assert head[6] == "10" or view.intact
    for key, value in (("suid", view.key_id), ("cs1", view.model), ("reason", view.code),
                       ("cs4", view.decision_id), ("flexString2", view.team)):  # fmt: skip
        assert values.get(key, "") == (value or "")
    assert values["flexNumber1"] == "7"


@given(VIEWS)
def test_ocsf_is_an_event_whose_fingerprint_is_its_own(view: View) -> None:
    event = json.loads(FORMATS["ocsf"].line(view))
    assert (event["class_uid"], event["category_uid"]) == (6003, 6)
    assert event["type_uid"] == 600_300 + event["activity_id"]
    assert event["metadata"]["version"] == "1.9.0"
    assert event["metadata"]["sequence"] == 7
    fingerprint = event["attestation"].pop("fingerprint")
    assert fingerprint["value"] == hashlib.sha256(canonical(event)).hexdigest()
    assert event["unmapped"]["leaf_hash"] == view.leaf_hash
    assert ("ai_model" in event) == bool(view.provider and view.served_model)


@given(VIEWS)
def test_otel_is_a_log_record_with_the_names_of_genai(view: View) -> None:
    (resource,) = json.loads(FORMATS["otel"].line(view))["resourceLogs"]
    (record,) = resource["scopeLogs"][0]["logRecords"]
    assert record["eventName"] == "gen_ai.client.inference.operation.details"
    told: dict[str, Any] = {one["key"]: one["value"] for one in record["attributes"]}
    assert told["gen_ai.request.model"]["stringValue"] == view.model
    assert told["gen_ai.usage.input_tokens"]["intValue"] == str(view.input_tokens)
    assert told["govgate.leaf_index"]["intValue"] == "7"
    assert not [name for name in told if "messages" in name or "instructions" in name]


def test_an_act_is_written_in_every_format() -> None:
    act = a_view(kind="audit.read", facts={"exchange": "exc_1"}, exchange_id="act_1")
    for format in FORMATS.values():
        assert b"audit.read" in format.line(act)
    assert json.loads(FORMATS["ocsf"].line(act))["activity_id"] == 2
