"""Code that OpenAI's two dialects share."""
