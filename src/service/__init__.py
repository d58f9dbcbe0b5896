"""What makes a process a service: its settings, its connection to Temporal, its worker, its health."""
