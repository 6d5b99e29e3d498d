"""Where notifications go: one receiver a file."""
