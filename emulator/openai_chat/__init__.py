"""Chat completions of Azure OpenAI: `/chat/completions`."""
