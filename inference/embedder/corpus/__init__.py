"""What the shipped embedder learns from: documentation in permissively licensed packages, and a thesaurus."""
