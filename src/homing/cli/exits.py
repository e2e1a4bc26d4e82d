"""What the exit codes of `homing` mean."""

DONE = 0
FAILED = 1  # it ran, and something is not as asked
USAGE = 2  # the command line, a setting or the named app is wrong; nothing was done
NO_SERVER = 69  # EX_UNAVAILABLE: the server cannot be used
UNFIT = 78  # EX_CONFIG: the server is set up so that it would lose jobs
HANDED_BACK = 75  # EX_TEMPFAIL: stopped, with work handed back
INTERRUPTED = 130  # 128 + SIGINT
