"""Links by which anybody reads a conversation, without a login and without writing: made and revoked by its owner."""
