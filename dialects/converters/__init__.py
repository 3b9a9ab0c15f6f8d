"""Helpers of the public `Converters`, which convert single bodies and single chunks."""
