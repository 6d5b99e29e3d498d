"""The pages about silences: what nobody is told of, by whom, until when."""
