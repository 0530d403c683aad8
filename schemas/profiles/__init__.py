"""The profiles that are shipped, a file a platform."""
