"""What the public `Converters` need beside the dialects: bodies and chunks that come alone."""
