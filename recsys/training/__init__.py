"""Training: a bundle from a workspace; start at `train.train`, which takes `data.TrainingData`."""
