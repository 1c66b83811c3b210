"""An assistant on other sites: a script that shows a button, a page in a frame behind it, and what that page asks.

Visitors have no session and no API key. Their tokens are known to the views in here and to no other door: to the rest
of the product they are wrong keys. What these views tell is an allow-list (:mod:`sovereign.web.embed.shapes`).
"""
