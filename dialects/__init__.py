"""The dialects of models and their clients. This code is pure: it uses no sockets, no clock and no configuration."""
