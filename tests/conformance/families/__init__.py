"""What bodies have in common. Each family is a list of checks, bound wherever the published schema has it."""
