"""Protocols other tools speak to us."""
