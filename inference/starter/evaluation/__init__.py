"""Questions written by hand for measuring the starter model, and the rules that score its answers."""
