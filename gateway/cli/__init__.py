"""The command `sap-ai-proxy`."""
