"""How we ask servers that we ask again and again: HTTP/1.1 over connections that are kept open."""
