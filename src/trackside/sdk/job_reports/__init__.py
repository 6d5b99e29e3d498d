"""What hooks in workers report of every attempt: traceback, cost, memory, times; sent to a Trackside server."""
