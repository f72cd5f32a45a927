import pickle

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digitlens.model.bundle import PRETRAINED
from digitlens.recognition.proposals import LEAST, Proposals

FIND = Proposals(PRETRAINED / "pages")


def drawn(text, size):
    page = Image.new("RGB", (208, 208), "white")
    font = ImageFont.load_default(size)
    ImageDraw.Draw(page).text((104, 104), text, fill="black", anchor="mm", font=font)
    return np.asarray(page)


def test_a_digit_is_proposed_whatever_its_size():
    for size in (24, 60, 150):
        boxes, scores = FIND(drawn("3", size))
        x0, y0, x1, y1 = boxes[scores.argmax()]
        assert x0 < 104 < x1
        assert y0 < 104 < y1


def test_doubtful_things_are_proposed_as_well():
    boxes, scores = FIND(drawn("S g", 60))
    assert boxes.shape == (len(scores), 4)
    assert (scores >= LEAST).all()
    assert len(scores)


def test_workers_can_be_given_it():
    boxes, _ = pickle.loads(pickle.dumps(FIND))(drawn("7", 60))
    assert np.array_equal(boxes, FIND(drawn("7", 60))[0])
