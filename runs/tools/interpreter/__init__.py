"""What the tool ``code_interpreter`` is made of: the code as a model writes it, its outputs, its files, its sandbox."""
