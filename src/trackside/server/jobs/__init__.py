"""Job sources on the server: sampled by threads, kept in SQLite, shown as metrics."""
