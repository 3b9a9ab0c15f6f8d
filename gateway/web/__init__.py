"""The page at `/` for browsers: its files, and what it says of tools."""
