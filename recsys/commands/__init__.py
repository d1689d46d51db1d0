"""The commands of this layer, put together in `app`."""
