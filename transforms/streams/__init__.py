"""Bytes in, bytes or Arrow batches out, a bounded chunk at a time."""
