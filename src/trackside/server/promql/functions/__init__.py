"""PromQL's functions, one family a file."""
