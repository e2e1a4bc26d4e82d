"""Servers of several processes, and what befalls them: failovers, moving slots, clocks and disks."""
