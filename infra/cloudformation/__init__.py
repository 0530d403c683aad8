"""The template of a stack, its rules, and the checks that need no AWS."""
