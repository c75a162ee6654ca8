# Rules on how a caller is told no. They hold whatever becomes of the request.
package govgate

hits[id] := {"rule": rule, "would": "respond_with", "facts": {"how": rule.params.how}} if {
	some id, rule in data.pack.rules.response
	in_force(rule)
}

# The strictest way first: where rules differ, the first of these that one asks for stands.
ways := ["error", "content_filter", "refusal", "message"]

default respond_with := []

# An error is what is told anyway, and needs no duty. Of several texts the first rule's is told.
respond_with := [{
	"id": "respond_with",
	"params": object.union({"how": way}, array.concat(told, [{}])[0]),
	"rule": by(asking),
}] if {
	way := [w | some w in ways; some id in due.respond_with; hits[id].rule.params.how == w][0]
	way != "error"
	asking := {id | some id in due.respond_with; hits[id].rule.params.how == way}
	told := [{"message": message} |
		some id in sort(asking)
		message := hits[id].rule.params.message
		message != null
	]
}
