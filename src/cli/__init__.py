"""The `orderflow` command: thin, composes the services."""
