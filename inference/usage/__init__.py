"""What model calls took, and what it cost: written in batches, added up for people."""

from inference.usage.prices import Price, cost
from inference.usage.recording import Ended, Unsure, record
from inference.usage.totals import BY, Total, totals

__all__ = ["BY", "Ended", "Price", "Total", "Unsure", "cost", "record", "totals"]
