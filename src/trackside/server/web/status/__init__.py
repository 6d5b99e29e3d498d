"""The status page over HTTP: what everybody may see, and where the team writes it."""
