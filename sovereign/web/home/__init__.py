"""The admin's first page: what is going on, how much of it there was, and what is to be done on the first day."""
