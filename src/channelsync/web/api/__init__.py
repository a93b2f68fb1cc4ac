"""The JSON API: the use cases of the commands, for programs with a token."""
