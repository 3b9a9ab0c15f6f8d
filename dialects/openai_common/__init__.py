"""What OpenAI's two dialects share."""
