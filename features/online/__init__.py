"""The online executor: features of one request from a state that events change as they come."""

__all__ = ["events", "executor", "reader"]
