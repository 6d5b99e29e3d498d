"""What `Monitor.watch` understands: one adapter a file."""
