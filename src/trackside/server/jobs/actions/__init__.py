"""What people do to jobs: looked at before it is done, done in small steps, and written down."""
