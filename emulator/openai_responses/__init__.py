"""Responses of Azure OpenAI: `/responses`, and the responses that are stored."""
