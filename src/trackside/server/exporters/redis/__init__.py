"""Redis and Valkey, under the names of redis_exporter."""
