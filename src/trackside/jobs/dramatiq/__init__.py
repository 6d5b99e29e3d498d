"""dramatiq on Redis: lists of ids, hashes of messages, and what each process has fetched."""
