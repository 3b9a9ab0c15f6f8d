"""How messages are cut out of bytes, and written into them."""
