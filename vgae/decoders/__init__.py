"""Decoders: each scores a target given a sample of the latent vectors."""

from vgae.decoders.inner_product import InnerProductDecoder, MaskedLinks

__all__ = ["InnerProductDecoder", "MaskedLinks"]
