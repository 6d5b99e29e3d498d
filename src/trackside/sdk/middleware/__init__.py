"""Measuring requests at the two interfaces every Python web framework speaks."""
