"""SQLite: one writer thread, many readers."""
