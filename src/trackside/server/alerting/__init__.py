"""From alerts to notifications: group, deduplicate, decide, hand over."""
