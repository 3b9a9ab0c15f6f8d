"""The handling of one request and its answer, from its arrival to its last byte."""
