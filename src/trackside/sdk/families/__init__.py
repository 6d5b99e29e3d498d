"""Ready-made families for what services count: caches, messages, buffers, sessions, writes, connections, business."""
