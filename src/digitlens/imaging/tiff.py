"""TIFF files that Pillow rejects: gray with a second sample per pixel, such as transparency."""

from __future__ import annotations

from typing import Any

from PIL import TiffImagePlugin as Plugin

_GRAY = (0, 1)  # PhotometricInterpretation: white is 0, black is 0
_DEPTHS = ({8}, {16})  # bits per sample
_SIGNED = 2  # SampleFormat: Pillow supports both byte orders of 32 bits for signed samples only
_NATIVE = "I;32N"  # Pillow's name for 32 bits in native byte order, as libtiff returns them


class TiffFile(Plugin.TiffImageFile):
    """Opens such a page as gray with twice as many bits, so that both samples are in one.

    The bytes are the same, and Pillow decompresses them as for any page.

    Attributes:
        second: None for all other pages; otherwise the ExtraSamples value of the second sample:
            1 and 2 are transparency, 0 is unspecified.
        bits: Bits of each of the two samples.
        white_is_zero: Whether the gray is inverted.
    """

    second: int | None = None
    bits = 8
    white_is_zero = False

    @property
    def gray_is_high(self) -> bool:
        """Whether the gray is in the higher bits; libtiff returns native byte order."""
        return self.tag_v2.prefix == Plugin.MM and not self.use_load_libtiff

    def _setup(self) -> None:
        self.second = None
        try:
            super()._setup()
        except SyntaxError:  # Pillow raises this for unknown pixel formats
            if not self._join_samples(self.tag_v2):
                raise
            super()._setup()
            if self.use_load_libtiff and self.bits > 8:
                tile: Any = self.tile[0]
                self.tile = [tile._replace(args=(_NATIVE, *tile.args[1:]))]

    def _join_samples(self, tags: Any) -> bool:
        """Declares gray and a second sample as one sample; returns False for other pages."""
        bits = set(tags.get(Plugin.BITSPERSAMPLE, (1,)))
        if (
            tags.get(Plugin.SAMPLESPERPIXEL) != 2
            or tags.get(Plugin.PHOTOMETRIC_INTERPRETATION) not in _GRAY
            or tags.get(Plugin.PLANAR_CONFIGURATION, 1) != 1
            or set(tags.get(Plugin.SAMPLEFORMAT, (1,))) != {1}
            or bits not in _DEPTHS
        ):
            return False
        self.bits = bits.pop()
        self.white_is_zero = tags[Plugin.PHOTOMETRIC_INTERPRETATION] == 0
        self.second = max(tags.pop(Plugin.EXTRASAMPLES, ()), default=0)
        tags[Plugin.PHOTOMETRIC_INTERPRETATION] = 1
        tags[Plugin.SAMPLESPERPIXEL] = 1
        tags[Plugin.BITSPERSAMPLE] = (2 * self.bits,)
        if self.bits > 8:
            tags[Plugin.SAMPLEFORMAT] = (_SIGNED,)
        return True
