"""Reports for auditors: each framework is a file of rules over figures of the ledger."""
