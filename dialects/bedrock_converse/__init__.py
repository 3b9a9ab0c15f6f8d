"""Bedrock's Converse API: the dialect of all models on Amazon Bedrock, among them Nova."""

from dialects.bedrock_converse.request_renderer import render_request
from dialects.bedrock_converse.response import parse_response
from dialects.bedrock_converse.stream import Reader, reader
from dialects.bedrock_converse.vocabulary import DIALECT

__all__ = ["DIALECT", "Reader", "parse_response", "reader", "render_request"]
