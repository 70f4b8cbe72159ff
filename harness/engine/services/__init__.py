"""Models behind services: OpenAI-compatible servers and Gemini, asked over a network."""
