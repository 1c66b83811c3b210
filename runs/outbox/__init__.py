"""Messages that were written while an answer was: rows beside the thread, sent in order when it has room for them."""
