"""From a picture to its numbers: detection, recognition, fusion and layout."""
