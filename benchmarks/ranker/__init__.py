"""How true the told probabilities are."""
