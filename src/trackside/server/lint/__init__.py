"""Rules that do not mean what the words around them say: found, explained, and corrected."""
