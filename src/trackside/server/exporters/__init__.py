"""Databases that other programs have exporters for, asked by the server itself: the same metrics, one process less."""
