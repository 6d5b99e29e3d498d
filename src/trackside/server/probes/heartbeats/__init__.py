"""Jobs that tell themselves when they run, and are missed when they do not."""
