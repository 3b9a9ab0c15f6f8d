"""OpenTelemetry traces and metrics.

They need the extra `otel`, so this is imported only if telemetry is switched on.
"""
