"""From a document to the pieces of its text, by a limited process of its own: documents are written by strangers.

``process`` is the way in, ``formats`` knows what can be read. Nothing is imported here: the child would load it too.
"""
