# The shape of a question.
package govgate_test

import data.govgate

test_a_question_is_well_formed if govgate.well_formed with input as question

test_a_tool_call_is_well_formed if govgate.well_formed with input as called("search", {})

test_a_review_is_well_formed if {
	govgate.well_formed with input as asked({"review": {"id": "r", "state": "open"}})
}

test_unknown_parts_may_be_null if {
	govgate.well_formed with input as asked({"budget": null, "session": null})
	govgate.well_formed with input as asked({"budget": {"remaining_usd": null, "utilisation": null}})
}

test_every_field_is_needed if {
	every path in [
		"schema_version", "subject", "action", "resource", "context", "subject/type",
		"subject/id", "subject/properties", "subject/properties/org",
		"subject/properties/team", "subject/properties/tags", "subject/properties/roles",
		"subject/properties/user", "action/name", "action/properties/stage",
		"action/properties/stream", "resource/type", "resource/id",
		"resource/properties/provider", "resource/properties/hosting",
		"resource/properties/region", "resource/properties/tags", "context/time",
		"context/findings", "context/unavailable", "context/request/max_tokens",
		"context/request/tools", "context/request/modalities", "context/request/answers",
		"context/request/tokens", "context/request/purpose", "context/request/tags",
		"context/tool_call", "context/budget", "context/budget/remaining_usd",
		"context/budget/utilisation", "context/estimate_usd", "context/review",
		"context/labels", "context/session", "context/session/id", "context/session/turn",
	] {
		denied_as_malformed(json.remove(question, [path]))
	}
}

test_no_field_is_unknown if {
	every path in [
		"/more", "/subject/more", "/subject/properties/more", "/action/more",
		"/action/properties/more", "/resource/more", "/resource/properties/more",
		"/context/more", "/context/request/more", "/context/budget/more",
		"/context/session/more",
	] {
		denied_as_malformed(json.patch(question, [{"op": "add", "path": path, "value": 1}]))
	}
}

test_types_are_looked_at if {
	every path, value in {
		"/schema_version": 2, "/subject/id": "", "/subject/properties/tags": "public",
		"/subject/properties/team": 1, "/action/properties/stage": "answer",
		"/action/properties/stream": null, "/resource/id": null, "/context/time": "yesterday",
		"/context/findings": {}, "/context/unavailable": [1], "/context/request/tokens": 0.5,
		"/context/request/max_tokens": -1, "/context/request/tools": null,
		"/context/tool_call": {"name": "search", "arguments": {}},
		"/context/budget/utilisation": "half", "/context/review": {"id": "r"},
		"/context/session/turn": "first", "/context/session/id": 1,
	} {
		denied_as_malformed(json.patch(question, [{"op": "replace", "path": path, "value": value}]))
	}
}

test_findings_are_looked_at if {
	every change in [
		{"kind": ""}, {"label": ""}, {"label": null}, {"where": null}, {"direction": "both"},
		{"score": 1.1}, {"score": -0.1}, {"score": "high"}, {"text": "ann@example.org"},
	] {
		spoilt := object.union(finding("pii", "EMAIL"), change)
		denied_as_malformed(asked({"findings": [spoilt]}))
	}
}

test_a_tool_call_needs_a_name if denied_as_malformed(called("", {}))

test_times if {
	every time in ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123+00:00"] {
		govgate.utc(time)
	}
	every time in [
		"2026-01-01T00:00:00", "2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00.Z",
		"2026-01-01T00:00Z", "26-01-01T00:00:00Z", "2026-01-01T00:00:0xZ", "", null, 5,
	] {
		not govgate.utc(time)
	}
}

denied_as_malformed(spoilt) if {
	decision := govgate.decision with input as spoilt with data.pack as pack({})
	decision.effect == "deny"
	[reason] := decision.reasons
	reason.code == "question_malformed"
	decision.obligations == []
}
