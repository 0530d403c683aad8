"""A published table of ours in each TOML file."""
