"""The steps from each version's tables to the next, run by `gateway.adapters.store.migrate`."""
