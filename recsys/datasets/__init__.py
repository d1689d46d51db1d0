"""Public data sets turned into workspaces, with an account of the rows read, kept and set aside."""

__all__ = ["complete_journey", "ledger", "mind", "online_retail", "simulation"]
