"""Wrapping a partner's image: what is written, and what the platform allows."""
