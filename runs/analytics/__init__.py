"""How assistants do: roll-ups of what happened, metrics read from them, grades with their reasons."""
