"""What a process tells of itself. All knowledge of logging set-up is here."""
