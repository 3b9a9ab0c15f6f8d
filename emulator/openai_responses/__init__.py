"""Responses on Azure OpenAI: `/responses`, and the responses it stores."""
