"""The capabilities of each model and each API version, as data."""
