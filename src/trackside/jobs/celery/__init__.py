"""Celery on Redis: its messages, events and results, read off the wire."""
