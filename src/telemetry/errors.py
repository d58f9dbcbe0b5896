"""What can be wrong with what telemetry is told to do."""


class TelemetrySettingError(ValueError):
    """An OTEL_* setting that can't be used. Its text is one line that names the setting."""
