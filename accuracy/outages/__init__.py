"""Runs whose own dependencies go away, refused or into a black hole: do they end, say so, and leave nothing?"""
