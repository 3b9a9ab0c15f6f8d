"""Pictures and documents that a request only points at."""
