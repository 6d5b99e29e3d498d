"""Formats, both ways: bytes to nouns and back. Standard library only, no I/O."""
