"""Traffic: what comes, and why."""
