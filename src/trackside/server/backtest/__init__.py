"""Rules on stored history: when they would have fired, and what would have been sent."""
