"""From a config file to frozen settings."""
