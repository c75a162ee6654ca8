# Kinds of rules that this library does not know. What cannot be interpreted is not ignored: it may
# be what refuses.
package govgate

kinds := {
	"model_access", "tool_access", "pii", "secret", "phrase", "opaque", "unavailable",
	"label", "cache", "residency", "response", "identifier",
}

unknown_kinds contains kind if {
	some kind, _ in data.pack.rules
	not kind in kinds
	not startswith(kind, "custom:")
}

denying contains "default.kind" if count(unknown_kinds) > 0

denials["default.kind"] := {
	"rule": "default.kind",
	"code": "rule_kind_unknown",
	"message": {
		"en": "The policy has rules that this gateway cannot interpret.",
		"fr": "La politique contient des règles que cette passerelle ne sait pas interpréter.",
	},
	"severity": "high",
	"facts": {"kinds": sort(unknown_kinds)},
} if {
	"default.kind" in denying
}
