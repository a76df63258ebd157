"""The Media Gateway in small, with real servers. Nothing of the product belongs here: they meet on the wire."""
