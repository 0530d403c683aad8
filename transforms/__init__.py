"""Pure transformations: no I/O, no clock, no environment, no session."""
