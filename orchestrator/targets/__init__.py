"""Every write to the outside: one small client a system, with time-outs on every call. No fault logic here."""
