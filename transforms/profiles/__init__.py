"""How each platform normalises, a file a platform: rules as named steps, of native expressions."""
