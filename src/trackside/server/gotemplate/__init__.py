"""The text templates of rule and Alertmanager files (Go's text/template)."""
