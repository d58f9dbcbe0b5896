"""The order workflow, its saga and its worker: pure decisions, no I/O."""
