"""Claude on Bedrock, asked in Anthropic messages: `/invoke` and `/invoke-with-response-stream`."""
