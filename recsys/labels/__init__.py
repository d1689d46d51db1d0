"""What is learned from: grades, time-forward periods, labelled slates."""
