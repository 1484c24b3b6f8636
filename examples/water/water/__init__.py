"""Finds seas and lakes in Blue Marble imagery."""
