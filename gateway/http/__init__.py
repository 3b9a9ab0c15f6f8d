"""The door: who may call, from where, and how many at once."""
