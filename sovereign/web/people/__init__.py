"""How people come in, and what is their own: login, invitations, the account, its sessions."""
