"""A TCP fault proxy that speaks the HTTP API of Toxiproxy 2.12; nothing in here knows what it relays.

Unlike the reference: byte counters move while a connection is open (there: when it ends); /health and /health/ready
exist; attributes that cannot work (negative numbers, a slicer without a size) are a 400; whether a toxic strikes a
connection is decided when the two meet and when that toxic is updated, not when its neighbours change; a first
configuration that cannot be applied ends the program with status 1.
"""

VERSION = "2.12.0"
