"""Keeps sessions, and publishes each of them through a queue in its own database."""
