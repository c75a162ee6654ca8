"""Proves a ledger, or an export of one, without trusting what wrote it.

It needs the standard library and `cryptography`, and of the gateway only the tree's hashes and
the signed notes; it reads the tables as they are.
"""
