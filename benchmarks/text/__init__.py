"""What text adds, what a leak costs, and the speed of encoding and training."""
