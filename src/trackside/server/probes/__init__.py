"""Asking services from outside whether they are there, and hearing from those that can only tell themselves."""
