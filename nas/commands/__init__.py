"""The commands: flags, printing, exit codes. Nobody imports these."""
