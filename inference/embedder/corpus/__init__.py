"""The text that the shipped embedder learns from: documentation inside permissively licensed packages, and a thesaurus."""
