"""The chaos harness: real processes, real faults, and an account of every job kept outside the server."""
