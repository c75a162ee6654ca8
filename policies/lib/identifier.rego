# Rules on how a provider is told whom a request is for.
package govgate

hits[id] := {"rule": rule, "would": rule.on_match, "facts": {}} if {
	some id, rule in data.pack.rules.identifier
	in_force(rule)
}

default pseudonymise := []

pseudonymise := [{"id": "pseudonymise", "params": {}, "rule": by(due.pseudonymise)}]
