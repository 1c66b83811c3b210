"""What runs do for deployments: a first conversation before one serves, and a watch over canaries that do."""
