"""Making files searchable, in the background: who works on which, what is done, and what becomes of what fails."""
