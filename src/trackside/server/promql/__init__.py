"""PromQL: text to syntax tree to columns."""
