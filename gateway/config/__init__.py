"""The configuration: reads the config file and the environment into frozen settings."""
