"""Learning to rank from text and behaviour: labels, text model, ranker, bundle, evaluation."""

__all__ = [
    "bundle",
    "commands",
    "datasets",
    "evaluation",
    "rank",
    "reports",
    "text",
    "training",
    "workspace",
]
