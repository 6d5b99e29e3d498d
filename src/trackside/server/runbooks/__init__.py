"""Runbooks: Markdown beside the rules, shown with the live figures that its steps ask for."""
