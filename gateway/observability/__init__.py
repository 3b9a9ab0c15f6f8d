"""What is told of requests: log lines and metrics."""
