import numpy as np
from PIL import ImageFont

from digitlens.datasets.synthetic import glyph_sources
from digitlens.datasets.synthetic.glyph_sources import (
    EM,
    Family,
    FontGlyphs,
    MixedGlyphs,
    MnistGlyphs,
    PenGlyphs,
)
from digitlens.datasets.synthetic.styles import Fonts, Styles, load_fonts


def test_glyph_sources_of_digits_and_words_have_their_proportions(styles, rng):
    sources = [type(styles.digit_style(rng).source) for _ in range(300)]
    shares = [sources.count(kind) / 300 for kind in (MnistGlyphs, PenGlyphs, FontGlyphs)]
    assert np.abs(np.subtract(shares, (0.40, 0.40, 0.20))).max() < 0.08
    sources = [type(styles.word_style(rng).source) for _ in range(200)]
    assert set(sources) == {FontGlyphs, PenGlyphs}
    assert 0.3 < sources.count(PenGlyphs) / 200 < 0.5


def test_handwritten_fonts_wobble(small_split, font_glyphs, rng):
    by_hand = FontGlyphs.__new__(FontGlyphs)
    by_hand.glyphs = font_glyphs.glyphs
    styles = Styles(small_split, Fonts(handwritten=(by_hand,), printed=(font_glyphs,)))
    drawn = [styles.word_style(rng) for _ in range(300)]
    styles = [style for style in drawn if isinstance(style.source, FontGlyphs)]
    assert all((style.source is by_hand) == (style.wobble > 0) for style in styles)
    assert 0.35 < np.mean([style.source is by_hand for style in styles]) < 0.55


def test_writer_has_three_tiles_of_each_digit(styles, small_split, rng):
    tile, value = styles.tile(rng)
    assert any((tile == other).all() for other in small_split.tiles[small_split.labels == value])
    drawn = [styles.digit_style(rng).source for _ in range(40)]
    sources = [source for source in drawn if isinstance(source, MnistGlyphs)]
    assert len(sources) > 3
    for value, own in enumerate(small_split.tiles[small_split.labels == v] for v in range(10)):
        for tiles in (source.digits[value] for source in sources):
            assert len(tiles) == 3
            assert all((own == tile).all(axis=(1, 2)).any() for tile in tiles)


def test_half_of_the_handwritten_numbers_use_mnist_tiles(styles, rng):
    sources = [styles.by_hand(rng).source for _ in range(200)]
    lettered = [type(styles.by_hand(rng, letters=True).source) for _ in range(200)]
    assert 70 < sum(isinstance(source, MixedGlyphs) for source in sources) < 130
    assert lettered.count(FontGlyphs) > 90
    assert all(source.glyph(char, rng) for source in sources[:20] for char in "0123456789.,-/")
    assert all(isinstance(styles.printed(rng).source, FontGlyphs) for _ in range(20))


def test_fonts_are_loaded_by_role_kind_and_weight(tmp_path, monkeypatch):
    file = tmp_path / "font"
    file.write_bytes(ImageFont.load_default(EM).font_bytes)
    families = [
        Family("script", "1", "hand", "training", "0"),
        Family("serif", "1", "print", "training", "0"),
        Family("dseg7", "1", "print", "training", "0"),
        Family("other", "1", "print", "validation", "0"),
    ]
    asked: list[Family] = []

    def font_files(wanted: list[Family]):
        asked.extend(wanted)
        weights = {"serif": 3}
        return {family: [{"latin": file}] * weights.get(family.family, 1) for family in wanted}

    monkeypatch.setattr(glyph_sources, "load_families", lambda: families)
    monkeypatch.setattr(glyph_sources, "font_files", font_files)
    fonts = load_fonts("training")
    assert asked == families[:3]
    assert len(load_fonts("training", some=slice(1, None, 2)).printed) == 3
    assert asked.pop() == families[1]
    assert len(fonts.handwritten) == 1
    assert len(fonts.printed) == 3 + 1
    assert fonts.printed[0].letters
    assert fonts.printed[-1].letters == ""  # letters of a seven-segment font look like digits
