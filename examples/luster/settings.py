"""Where the service finds what it needs. Only this module reads the environment."""

from __future__ import annotations

import os

# Platforms write postgres:// or postgresql://; SQLAlchemy would take that for another driver than ours.
_GIVEN = os.environ.get("DATABASE_URL", "sqlite:///luster.db")
DATABASE_URL = f"postgresql+psycopg:{_GIVEN.partition(':')[2]}" if _GIVEN.startswith("postgres") else _GIVEN

REDIS_URL = os.environ.get("REDIS_URL", "")
"""Without it there is no RQ, and the SQL worker does everything."""

# The OpenAI client reads OPENAI_BASE_URL and OPENAI_API_KEY itself; the monitor reads SENTRY_DSN,
# SENTRY_TRACES_SAMPLE_RATE, ENVIRONMENT and APP_VERSION.
MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")

POLL_EVERY_S = float(os.environ.get("POLL_EVERY_SECONDS", "1"))
LEASE_S = 60.0
"""A worker that died gives up its job after that."""
RETRY_AFTER_S = float(os.environ.get("RETRY_AFTER_SECONDS", "10"))
STORAGE_URL = os.environ.get("STORAGE_URL", "http://127.0.0.1:9000/storage")
"""Where exports are uploaded to."""
