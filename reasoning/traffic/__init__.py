"""Traffic: what a scene allows and why, what causes a jam, which way round it."""
