# What an OPA server is asked: data.govgate.answer. It holds the rules of every revision that is
# in use, at data.packs by revision, and is told with each question which of them is meant. So a
# change of revision refuses nobody, and no question is decided by a mix.
package govgate

# The decision, and the revision that stands in what it was made with.
answer := {"revision": pack.revision, "decision": made} if {
	pack := data.packs[input.revision]
	made := decision with input as input.question with data.pack as pack
}

# The server does not have that revision, or not yet.
answer := {"revision": null, "decision": null} if not data.packs[input.revision]
