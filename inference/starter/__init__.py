"""The starter model: corpus, tokenizer, training, evaluation and weights of a small demonstration model."""
