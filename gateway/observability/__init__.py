"""Observability: log lines, metrics, traces, and the data of the dashboard."""
