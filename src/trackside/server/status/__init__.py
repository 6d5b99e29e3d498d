"""The public status page: what is told to the world, and nothing else."""
