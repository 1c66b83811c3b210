"""The admin's page on which an assistant is tried: two of it side by side, asked by one box."""
