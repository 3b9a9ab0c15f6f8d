"""``sap-ai-proxy init``: from a service key to a config file."""
