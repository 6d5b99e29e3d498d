"""Traces of the user's process: OpenTelemetry wired from request to queue to worker."""
