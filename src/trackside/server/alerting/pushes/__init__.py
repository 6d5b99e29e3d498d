"""Alerts that others push: what they mean, and where they are kept."""
