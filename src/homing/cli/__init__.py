"""The `homing` command: one file for each group of sub-commands, each loaded when it is used."""
