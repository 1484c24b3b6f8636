"""The partner's own package, of the name that the service's module has."""

OWNER = "partner"
