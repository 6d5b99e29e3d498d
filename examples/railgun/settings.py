"""Where the service finds what it needs. Only this module reads the environment."""

from __future__ import annotations

import os

# Platforms write postgres:// or postgresql://; SQLAlchemy would take that for another driver than ours.
_GIVEN = os.environ.get("DATABASE_URL", "sqlite:///railgun.db")
DATABASE_URL = f"postgresql+psycopg:{_GIVEN.partition(':')[2]}" if _GIVEN.startswith("postgres") else _GIVEN

REDIS_URL = os.environ.get("REDIS_URL", "")
"""Without it sessions, caches and delivery live in this one process: good enough for a laptop, and for no more."""

# The monitor reads SENTRY_DSN, SENTRY_TRACES_SAMPLE_RATE, LOKI_URL, ENVIRONMENT and APP_VERSION itself.
