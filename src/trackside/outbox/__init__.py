"""A work queue in the application's own database, with what fills it and what empties it: pollers and workers."""
