"""What acts: the heartbeat, its timers, the reading of traffic and of the file. Decisions are made in the core."""
