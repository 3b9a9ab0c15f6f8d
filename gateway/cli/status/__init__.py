"""What the command ``status`` shows of a running proxy."""
