"""arq: one sorted set per queue, and a few keys per job whose lifetimes say the rest."""
