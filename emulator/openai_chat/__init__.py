"""Chat completions on Azure OpenAI: `/chat/completions`."""
