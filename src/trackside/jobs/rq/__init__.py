"""RQ 2 and 3, read from their keys in Redis."""
