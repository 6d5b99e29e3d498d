"""HTTP: the API, the pages, and who may see them."""
