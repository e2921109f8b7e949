"""Limits on rates, operations and energy that a test or continuous integration holds."""
