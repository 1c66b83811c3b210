"""Conversations that are taken along in the background: written to a file by whichever worker has time, and fetched."""
