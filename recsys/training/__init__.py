"""Training: a bundle from a workspace; start at `train.train`, which takes `data.TrainingData`."""

__all__ = ["data", "encoder_job", "rows", "scorers", "slates", "text_model", "texts", "train"]
