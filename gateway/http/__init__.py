"""Handles requests before they are routed: authentication, CORS, admission control, bodies."""
