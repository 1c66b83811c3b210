"""The chat in the browser: a server-rendered shell around ``/v1`` and the WebSocket, for people with a session."""
