"""Gemini on Vertex AI: `:generateContent` and `:streamGenerateContent`."""
