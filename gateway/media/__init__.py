"""Images and documents that a request refers to by URL."""
