"""Evaluations: cases with checks, run against versions of assistants in the background; the gate of promotion."""
