"""The languages models and their clients speak. Pure: no sockets, no clock, no configuration."""
