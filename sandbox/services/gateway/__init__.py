"""The API gateway: who calls, how often, and to which service it goes. It knows no content."""
