"""Bedrock's Converse API: one language for all models of Amazon's cloud, Nova among them."""

from dialects.bedrock_converse.answering import Reader, parse_response, reader
from dialects.bedrock_converse.rendering import render_request

__all__ = ["Reader", "parse_response", "reader", "render_request"]
