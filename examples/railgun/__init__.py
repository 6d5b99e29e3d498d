"""A chat with channels, direct messages and voice, built with FastAPI, Postgres and Redis, and watched by Trackside."""
