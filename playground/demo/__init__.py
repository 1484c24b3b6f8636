"""The demo: imagery, a partner's own Python, the service asked, its answers drawn and compared."""
