"""What the simulated shop is: settings, catalogue, users, and the truth behind them."""
