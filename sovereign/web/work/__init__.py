"""Work that takes longer than a page: what is under way, how far it is, and how it is called off."""
