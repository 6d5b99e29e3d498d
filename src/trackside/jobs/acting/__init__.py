"""Retry, cancel, delete, pause: one back-end a module, each with raw keys or rows as its library would write them."""
