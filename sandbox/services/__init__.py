"""The platform's services: each starts by one command and its environment alone. The sandbox's parts are not here."""
