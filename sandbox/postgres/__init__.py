"""PostgreSQL as pods: where its programs are, under which user they run, how a primary and a replica start. No SQL of the platform here."""
