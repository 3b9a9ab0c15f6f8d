"""Bedrock's Converse API, for Claude and Nova: `/converse` and `/converse-stream`."""
