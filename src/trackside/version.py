"""The version, where the build and both sides of the product read it."""

__version__ = "0.1.0"
