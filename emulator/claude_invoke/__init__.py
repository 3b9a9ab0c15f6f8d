"""Claude on Bedrock with Anthropic messages: `/invoke` and `/invoke-with-response-stream`."""
