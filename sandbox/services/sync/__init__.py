"""Sync: the users' watchlists and positions, and their changes on the way to the other devices."""
