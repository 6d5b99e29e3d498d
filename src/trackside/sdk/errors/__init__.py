"""Errors of the user's process: sentry-sdk set up from the environment, with secrets taken out."""
