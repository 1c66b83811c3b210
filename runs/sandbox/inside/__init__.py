"""What runs in the sandbox beside the code: nothing but Python's own library is there when it starts."""
