"""Where the service finds what it needs. Only this module reads the environment."""

from __future__ import annotations

import os

DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite:///prompt_backend.db")
"""sqlite:///… or postgresql://…: sessions and queue are in one database, or they could not change together."""
PUBLISH_URL = os.environ.get("PUBLISH_URL", "http://127.0.0.1:9498/sessions")
LEASE_S = float(os.environ.get("LEASE_SECONDS", "30"))
"""So long after the death of a publisher another one takes its session up."""
