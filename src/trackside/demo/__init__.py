"""A small shop with a worker and traffic, watched by Trackside: what `trackside demo` starts."""
