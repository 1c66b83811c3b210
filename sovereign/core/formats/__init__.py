"""How times stand on pages where Django writes them: as ``sovereign.core.times`` does. Named in the settings."""
