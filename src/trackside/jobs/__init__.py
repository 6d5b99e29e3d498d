"""Queues and workers of whatever library, read on the wire format, and what is concluded from them."""
