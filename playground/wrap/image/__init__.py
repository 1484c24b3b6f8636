"""A partner's image, looked into without running it."""
