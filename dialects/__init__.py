"""The dialects of models and their clients. Pure: no sockets, no clock, no configuration."""
