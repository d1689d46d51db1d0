"""The console command `recsys` (`cli`), and `recsys demo`."""
