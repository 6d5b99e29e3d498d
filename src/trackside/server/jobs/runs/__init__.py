"""Single runs in SQLite."""
