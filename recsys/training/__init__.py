"""From a workspace to a bundle: start at `train.train`."""
