"""A source of ours in each TOML file."""
