"""Sets tools up to use this proxy: by printing, writing or passing their settings."""
