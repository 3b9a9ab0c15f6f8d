"""Claude and Nova on Bedrock: `/converse` and `/converse-stream`."""
