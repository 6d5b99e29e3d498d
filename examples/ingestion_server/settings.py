"""Where the server finds what it needs, and its limits. Only this module reads the environment."""

from __future__ import annotations

import os

DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite:///ingestion.db")

BUFFER_CAPACITY = int(os.environ.get("BUFFER_CAPACITY", "1000"))
"""Samples that wait for the consumer of one user."""
WRITE_EVERY_S = float(os.environ.get("WRITE_EVERY_SECONDS", "0.5"))
BATCH_SIZE = 500
MAX_PENDING = 100_000
"""Records that wait for the database. Beyond, messages are refused: memory would be next."""
FORGET_AFTER_S = float(os.environ.get("FORGET_AFTER_SECONDS", "600"))
"""A user without sessions and consumer is shown in the metrics for as long."""
