"""Servers of each provider's protocol, as strict as the originals are documented to be, with scripted answers."""
