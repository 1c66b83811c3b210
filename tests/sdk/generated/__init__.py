"""The generated tests inside the official Python SDK's source packages, run against a server of ours.

``sources`` fetches them, pinned; ``seeder`` makes the rows with the literal ids that they ask for; ``plugin`` is loaded
into their pytest and calls the seeder before each of them; ``expected.toml`` lists those that fail, and why.
"""
