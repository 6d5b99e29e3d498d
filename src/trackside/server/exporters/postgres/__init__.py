"""PostgreSQL, under the names of postgres_exporter."""
