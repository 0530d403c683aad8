"""Data about data: connectors (sources), tables (what is published) and reference lists, as TOML with a typed model."""
