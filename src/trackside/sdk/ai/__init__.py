"""Queries to language models: how long, how many tokens, what they cost, and what failed."""
