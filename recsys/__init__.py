"""Learning to rank from text and behaviour: labels, text model, ranker, bundle, evaluation."""
