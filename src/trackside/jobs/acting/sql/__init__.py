"""What can be done to jobs in tables."""
