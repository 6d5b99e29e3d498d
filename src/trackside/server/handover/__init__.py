"""Alerts handed over to other people's Alertmanagers."""
