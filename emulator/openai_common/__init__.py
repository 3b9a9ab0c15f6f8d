"""What the two protocols of Azure OpenAI share."""
