"""The expectations, one module for each part of the page."""
