"""Sovereign: a self-hosted assistants platform that speaks the OpenAI Assistants API."""

__version__ = "0.1.0"
