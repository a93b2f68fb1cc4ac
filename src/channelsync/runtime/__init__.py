"""The process: command line, daemon, configuration, logging, wiring."""
