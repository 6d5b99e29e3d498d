"""The process itself while it works: how late its event loop is, and how long it stands still for garbage."""
