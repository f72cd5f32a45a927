"""TIFF files that Pillow alone refuses: gray with a second sample a pixel, such as transparency."""

from __future__ import annotations

from typing import Any

from PIL import TiffImagePlugin as Plugin

_GRAY = (0, 1)  # of PhotometricInterpretation: white is 0, black is 0
_DEPTHS = ({8}, {16})  # bits of a sample
_SIGNED = 2  # of SampleFormat: Pillow knows 32 bits in either order of bytes as signed ones alone
_NATIVE = "I;32N"  # Pillow's name for 32 bits as libtiff gives them


class TiffFile(Plugin.TiffImageFile):
    """Opens such a page as gray of twice as many bits: both samples in one.

    Their bytes are the same. Whatever packs them, Pillow unpacks as of any page.

    Attributes:
        second: None for all other pages; else what the second sample is, as ExtraSamples says:
            1 and 2 are transparency, 0 may be anything.
        bits: Of each of the two samples.
        white_is_zero: The gray of such a page is inverted.
    """

    second: int | None = None
    bits = 8
    white_is_zero = False

    @property
    def gray_is_high(self) -> bool:
        """Whether the gray is in the higher bits; of packed pages libtiff gives its own order."""
        return self.tag_v2.prefix == Plugin.MM and not self.use_load_libtiff

    def _setup(self) -> None:
        self.second = None
        try:
            super()._setup()
        except SyntaxError:  # so Pillow says that it does not know a kind of pixels
            if not self._join(self.tag_v2):
                raise
            super()._setup()
            if self.use_load_libtiff and self.bits > 8:
                tile: Any = self.tile[0]
                self.tile = [tile._replace(args=(_NATIVE, *tile.args[1:]))]

    def _join(self, tags: Any) -> bool:
        """Describes gray and a sample beside it as one sample; False for other kinds of pages."""
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
