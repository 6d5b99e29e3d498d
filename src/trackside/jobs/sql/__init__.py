"""Jobs in SQL tables: a map of columns is the whole adapter, for Postgres, SQLite and MySQL."""
