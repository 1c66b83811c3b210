"""How well the embedder finds what a question is about, against keywords and against a hashing trick."""
