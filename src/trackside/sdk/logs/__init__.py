"""Logs of the user's process: JSON lines with the fields of the request they belong to."""
