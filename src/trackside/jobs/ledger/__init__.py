"""History of jobs without I/O: what is counted, how often, and what is concluded from the counts."""
