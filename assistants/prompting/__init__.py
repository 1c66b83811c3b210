"""Which prompts of the library a run gets, and what they say to it: decided by its occasion alone."""

from assistants.prompting.choosing import Prompted, prompted
from assistants.prompting.occasion import Occasion
from assistants.prompting.placed import PlacedPrompt, placed_prompts, with_meant_version

__all__ = ["Occasion", "PlacedPrompt", "Prompted", "placed_prompts", "prompted", "with_meant_version"]
