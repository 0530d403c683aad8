"""What must hold of a deployed stack, one kind of thing a file; the doctor runs them all."""
