"""Where the service finds what it needs. Only this module reads the environment."""

from __future__ import annotations

import os

DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite:///ecommerce.db")
SLACK_URL = os.environ.get("SLACK_URL", "https://slack.com/api")
SLACK_TOKEN = os.environ.get("SLACK_TOKEN", "not-set")
GORGIAS_URL = os.environ.get("GORGIAS_URL", "https://example.gorgias.com/api")
# The Anthropic client reads ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY itself.
MODEL = os.environ.get("CLAUDE_MODEL", "claude-sonnet-4-5")

IMPORT_EVERY_S = float(os.environ.get("IMPORT_EVERY_SECONDS", "3600"))
POOL_SIZE = 20
POOL_TIMEOUT_S = 1.0
