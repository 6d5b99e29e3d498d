"""Metrics sent instead of fetched: remote write from the process itself, for platforms where nothing can scrape."""
