"""From a document to its text: in a limited process of its own, because documents are written by strangers."""

from assistants.knowledge.parsing.formats import EXTENSIONS, extension_of, is_supported
from assistants.knowledge.parsing.process import ParsingFailed, parse

__all__ = ["EXTENSIONS", "ParsingFailed", "extension_of", "is_supported", "parse"]
