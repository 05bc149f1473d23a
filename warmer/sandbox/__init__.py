"""The embedded look-alike of Replicate: the same API, over instances that boot, idle out and bill."""
