"""Counts and sketches in SQLite."""
