"""Gemini on Vertex: `:generateContent` and `:streamGenerateContent`."""
