"""Colour maps made of the hues in use: about 0, and from 0 up."""

from __future__ import annotations

from matplotlib.colors import LinearSegmentedColormap, to_rgb

from digitlens.visualization.style import theme

Colour = tuple[float, float, float]


def diverging() -> LinearSegmentedColormap:
    """Blue above 0, red below, the ground at it; the further from 0, the nearer to ink."""
    colours = theme()
    ends = [
        blend(colours.red, colours.ink, 0.5),
        colours.red,
        colours.ground,
        colours.blue,
        blend(colours.blue, colours.ink, 0.5),
    ]
    return LinearSegmentedColormap.from_list("diverging", ends)


def rising(hue: str) -> LinearSegmentedColormap:
    """From pale through a hue towards ink: pale at 0, so that an area without anything shows."""
    colours = theme()
    return LinearSegmentedColormap.from_list(
        "rising", [colours.pale, hue, blend(hue, colours.ink, 0.75)]
    )


def blend(one: str, other: str, share: float) -> Colour:
    """A colour between two, from the first at share 0 to the second at 1."""
    red, green, blue = (
        a + (b - a) * share for a, b in zip(to_rgb(one), to_rgb(other), strict=True)
    )
    return red, green, blue
