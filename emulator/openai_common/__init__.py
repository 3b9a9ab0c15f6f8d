"""Code that the two protocols of Azure OpenAI share."""
