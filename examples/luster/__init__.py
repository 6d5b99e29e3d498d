"""A small image service whose work is done by an SQL-polling worker and by RQ workers, with captions by a model."""
