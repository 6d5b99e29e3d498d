"""Silences: who may not be told of what, and until when."""
