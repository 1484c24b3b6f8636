"""The server configuration."""
