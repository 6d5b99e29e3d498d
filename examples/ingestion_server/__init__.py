"""Takes in samples from edge relays over WebSockets, hands them on to consumers, and keeps them in a database."""
