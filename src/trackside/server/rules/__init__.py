"""Rules: query on a schedule, turn results into alerts or new series."""
