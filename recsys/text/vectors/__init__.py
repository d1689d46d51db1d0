"""Text vectors on disk: the store, the cache in front of an encoder, a whole catalogue's."""

__all__ = ["cache", "embed", "embed_on_ray", "store"]
