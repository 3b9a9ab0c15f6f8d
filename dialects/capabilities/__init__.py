"""What each model and each API version accepts, as data."""
