"""What the sandbox's stores hold: the catalogue, the users, the schema. No servers here."""
