"""The queue monitor: asks the Temporal server, judges, publishes and notifies."""
