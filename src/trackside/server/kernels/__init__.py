"""Arithmetic on columns: pure functions of numpy arrays."""
