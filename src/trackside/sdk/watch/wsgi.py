"""Watches any WSGI callable, by wrapping it."""

from __future__ import annotations
