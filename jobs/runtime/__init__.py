"""Everything that touches the outside world: storage, keys, secrets, catalog, ledger, notifications."""
