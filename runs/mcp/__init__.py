"""Sovereign as an MCP server: clients of the Model Context Protocol find the assistants of a project as tools.

``protocol`` knows the messages, ``offers`` which assistants there are, ``calls`` makes a run of a call and waits for
it, ``answers`` is what came of it, ``views`` is the door.
"""
