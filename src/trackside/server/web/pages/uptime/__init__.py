"""Pages of checks from outside, and of heartbeats."""
