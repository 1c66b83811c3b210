"""The starter model's training corpus, built by code from a fixed seed."""
