"""What of the encoder is trained: nothing, its top layers, adapters, or all of it."""
