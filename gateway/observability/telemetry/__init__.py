"""Traces and metrics for OpenTelemetry. It is imported only where it is switched on: it needs the extra `otel`."""
