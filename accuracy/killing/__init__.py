"""Runs killed at every moment of their lives, on a sandbox that outlives them: is the target clean afterwards, and how soon?"""
