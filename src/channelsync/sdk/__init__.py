"""All that a connector may import: the Channel protocol, its values, its errors, HTTP, the contract tests."""
