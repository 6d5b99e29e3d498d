"""Pulling samples from targets into the store."""
