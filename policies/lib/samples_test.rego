# What the tests of the library ask, and the rules they ask it with.
package govgate_test

question := {
	"schema_version": 1,
	"subject": {
		"type": "app",
		"id": "shop-bot",
		"properties": {
			"org": "acme", "team": "support", "tags": ["public"],
			"roles": [], "user": null,
		},
	},
	"action": {
		"name": "chat.completions.create",
		"properties": {"stage": "request", "stream": false},
	},
	"resource": {
		"type": "model",
		"id": "gpt-4o",
		"properties": {
			"provider": "azure", "hosting": "external",
			"region": "eu", "tags": [],
		},
	},
	"context": {
		"time": "2026-06-15T12:00:00.5Z",
		"findings": [],
		"unavailable": [],
		"request": {
			"max_tokens": null, "tools": [], "modalities": ["text"], "answers": ["text"],
			"tokens": 12, "purpose": null, "tags": [],
		},
		"tool_call": null,
		"budget": {"remaining_usd": "1.00", "utilisation": 0.5},
		"estimate_usd": null,
		"review": null,
		"labels": [],
		"session": {"id": null, "turn": 0},
	},
}

# The question with other facts in its context.
asked(facts) := object.union(question, {"context": facts})

# The question about a completed tool call.
called(name, facts) := object.union(question, {
	"action": {"properties": {"stage": "tool_call"}},
	"context": object.union({"tool_call": {"name": name, "arguments": {"q": 1}}}, facts),
})

finding(kind, label) := {
	"kind": kind, "label": label, "where": "/messages/0/content",
	"direction": "input", "score": 0.8,
}

said(kind, label) := object.union(finding(kind, label), {"direction": "output"})

rule(kind, more) := object.union(
	{
		"kind": kind, "mode": "enforce", "floor": false, "from": null, "until": null,
		"when": {}, "attached": null, "params": {}, "on_match": null, "on_error": null,
		"code": "tested", "severity": "medium", "message": {"en": "Tested."},
	},
	more,
)

admit := rule("model_access", {
	"severity": "low",
	"params": {"models": ["*"], "max_output_tokens": null},
})

# A pack of `rules`, keyed by kind and id, that also admits every model.
pack(rules) := {
	"revision": "sha256:test",
	"rules": object.union({"model_access": {"admit": admit}}, rules),
	"exceptions": {},
}

mask := rule("pii", {
	"params": {
		"direction": "input", "labels": ["EMAIL", "PHONE"],
		"min_score": 0.5, "unit": "sentence",
	},
	"on_match": "mask",
})

rule_ids(entries) := [entry.rule | some entry in entries]
