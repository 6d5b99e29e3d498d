"""Queues, jobs, workers: one page of everything, one of a single job."""
