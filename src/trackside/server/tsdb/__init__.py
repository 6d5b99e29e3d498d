"""Time series on SQLite: recent samples in memory (the head), older ones as compressed columns (blocks)."""
