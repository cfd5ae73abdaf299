"""What all that draws for people has in common: colours, letters, and how a picture is written."""

import warnings

# a name may be in any script; boxes for what the font lacks are no reason to interrupt
warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)

#: What files that are drawn here name as the program that made them.
SOFTWARE = "fer-pipeline"
