"""The pages about alerts: what fires and why, who was told, the rules and runbooks behind it."""
