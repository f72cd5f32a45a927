"""Draws the seeds of all targets, each as small as possible, and writes them to ``corpus/``.

Pictures of every supported format, documents, models with their cards, requests, archives,
templates and recipes. Inputs of earlier findings are added by hand as ``corpus/*/found-*``.
"""

import base64
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw, features
from pillow_heif import from_pillow

from digitlens.models.bundle import PRETRAINED, Card

FOLDER = Path(__file__).parent / "corpus"
Seeds = Iterator[tuple[str, bytes]]


def draw(mode: str = "L", size: tuple[int, int] = (32, 20), text: str = "17") -> Image.Image:
    """Draws a number on paper."""
    page = Image.new("L", size, 235)
    ImageDraw.Draw(page).text((7, 3), text, fill=20)
    if mode in {"LA", "RGBA"}:
        picture = page.convert(mode)
        picture.putalpha(page.point([255 - level // 2 for level in range(256)]))
        return picture
    if mode == "I;16":
        return Image.fromarray(np.asarray(page).astype(np.uint16) * 16)
    return page.convert(mode)


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    """Encodes a picture as a file."""
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def pictures() -> Seeds:
    """A picture of each format and pixel type."""
    turned = Image.Exif()
    turned[0x0112] = 6
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield f"{'gray' if mode == 'L' else mode.replace(';', '')}.png", encoded(draw(mode), "PNG")
    yield "shown.png", encoded(draw("P"), "PNG", transparency=1)
    yield "sbit.png", _with_chunk(encoded(draw("I;16"), "PNG"), b"sBIT", b"\x0c")
    yield "moving.png", encoded(draw(), "PNG", save_all=True, append_images=[draw(text="2")])
    for mode in ("L", "RGB", "CMYK"):
        yield f"{mode}.jpg", encoded(draw(mode), "JPEG", quality=40)
    yield "turned.jpg", encoded(draw("RGB"), "JPEG", progressive=True, exif=turned, quality=40)
    yield "lossy.webp", encoded(draw("RGB"), "WEBP", exif=turned)
    yield "lossless.webp", encoded(draw("RGBA"), "WEBP", lossless=True)
    yield "moving.webp", encoded(draw(), "WEBP", save_all=True, append_images=[draw(text="2")])
    yield "one.gif", encoded(draw("P"), "GIF")
    yield "moving.gif", encoded(draw(), "GIF", save_all=True, append_images=[draw(text="2")])
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield f"{mode}.bmp", encoded(draw(mode), "BMP")
    for packing in ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        yield f"{packing}.tif", encoded(draw("RGB"), "TIFF", compression=packing)
    yield "group4.tif", encoded(draw("1"), "TIFF", compression="group4")
    yield "deep.tif", encoded(draw("I;16"), "TIFF")
    yield "float.tif", encoded(Image.fromarray(np.asarray(draw(), np.float32) / 255), "TIFF")
    yield "second.tif", _two_samples()
    yield "gray.pgm", encoded(draw(), "PPM")
    yield "plain.pbm", b"P1 8 2\n" + b"0 1 1 0 0 1 0 1\n" * 2
    photo = io.BytesIO()
    from_pillow(draw("RGB", (64, 64))).save(photo, quality=30)
    yield "photo.heic", photo.getvalue()
    if features.check("avif"):
        yield "photo.avif", encoded(draw("RGB"), "AVIF", quality=30)


def documents() -> Seeds:
    """Files with pages."""
    for form in ("pdf", "tiff"):  # redrawn, since Pillow leaves encoder options on a picture
        first, *others = (draw(text=text) for text in ("1", "23", "456"))
        yield f"three.{form}", encoded(first, form, save_all=True, append_images=others)
    objects = (
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]>>>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Rotate 90/UserUnit 2/Contents 4 0 R"
        b"/Annots[5 0 R]/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        b"<</Length 44>>stream\nBT /F 18 Tf 20 40 Td (12.50) Tj ET 0 0 9 9 re f\nendstream",
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(47)/Rect[9 9 99 40]/P 3 0 R/DA(/F 9 Tf)>>",
    )
    listed = b"".join(b"%d 0 obj %b endobj\n" % pair for pair in enumerate(objects, 1))
    yield "form.pdf", b"%PDF-1.4\n" + listed + b"trailer <</Root 1 0 R>>\n%%EOF\n"
    yield from ((name, content) for name, content in pictures() if name in {"gray.png", "one.gif"})


def bundles() -> Seeds:
    """Models: a card, ``targets.PARTS`` and the graph."""
    card = Card("seed", "0.1.0", "$SHA256", recipe={"architecture": "small"}, results={"a": 0.5})
    yield "bars", _model(asdict(card), graph())
    lines = json.loads((PRETRAINED / "lines" / "model.json").read_bytes())
    lines["fusion"]["layers"] = {}
    lines["results"] = lines["recipe"] = {}
    yield "lines", _model(lines, b"")


def graph(**options: Any) -> bytes:
    """A classifier that sums pixels."""
    weights = np.zeros((784, 10), np.float16)
    weights[::79] = 0.01
    constants = [
        numpy_helper.from_array(weights[:, :1], "weights"),
        numpy_helper.from_array(np.array([-1, 784]), "flat"),
        numpy_helper.from_array(np.array([1, 10]), "ten"),
    ]
    nodes = [
        helper.make_node("Reshape", ["tiles", "flat"], ["pixels"]),
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["weights"], ["factors"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["numbers", "factors"], ["sums"]),
        helper.make_node("Tile", ["sums", "ten"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    graph_input = helper.make_tensor_value_info("tiles", TensorProto.UINT8, ["N", 28, 28])
    graph_output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10])
    body = helper.make_graph(nodes, "seed", [graph_input], [graph_output], constants)
    opset = options.pop("opset", 18)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return model.SerializeToString()


def requests() -> Seeds:
    """Requests to every route with a body, in each content type, and to some others."""
    picture = encoded(draw(), "PNG")
    text = base64.b64encode(picture).decode()
    tile = bytes(784)
    query = "expect=%23%23;range+0..99&target_error=1%25&decimal=,&grouping=.&locale=de_DE&tiles=1"
    yield "read", _request(f"/v1/read?{query}", "image/png", picture)
    yield "table", _request("/v1/table?grid=2x3&rules=total", "application/octet-stream", picture)
    yield "columns", _request("/v1/table?columns=3", "image/png", picture)
    one = {"image": {"data": text, "name": "a.png"}, "expect": ["2", "one of 12, 17"]}
    yield "json", _request("/v1/read", "application/json", _json(one))
    many = {"images": [{"data": text}] * 2, "expect": "luhn", "locale": "en", "tiles": True}
    yield "many", _request("/v1/read", "application/json", _json(many))
    yield "form", _request("/v1/read", "multipart/form-data; boundary=cut", form(picture))
    yield "tile", _request("/v1/classify", "application/octet-stream", tile)
    rows = {"tiles": [[[0] * 28] * 28]}
    yield "rows", _request("/v1/classify", "application/json", _json(rows))
    packed = {"tiles": base64.b64encode(tile).decode()}
    yield "drawn", _request("/v1/reconstruct", "application/json", _json(packed))
    tensor = {"name": "tiles", "shape": [1, 28, 28], "datatype": "UINT8"}
    flat = {"id": "7", "inputs": [tensor | {"data": [0] * 784}], "outputs": [{"name": "x"}]}
    yield "infer", _request("/v2/models/default/infer", "application/json", _json(flat))
    head = _json({"inputs": [tensor | {"parameters": {"binary_data_size": 784}}]})
    size = f"\nInference-Header-Content-Length: {len(head)}"
    yield "binary", _request("/v2/models/default/infer", "x/y" + size, head + tile)
    for path in ("/", "/v1/models", "/v2/models/default", "/metrics", "/openapi.json", "/a/../b"):
        yield "get" + path.replace("/", "-"), f"GET {path}\nhost: localhost\n\n".encode()


def form(picture: bytes) -> bytes:
    """A form with two files and an option, separated by ``--cut``."""
    file = 'Content-Disposition: form-data; name="file"; filename="a.png"'
    parts = [(file, picture), (file.replace("a.png", "ö.png"), picture)]
    parts.append(('Content-Disposition: form-data; name="expect"', b"2"))
    bodies = (b"--cut\r\n" + head.encode() + b"\r\n\r\n" + body + b"\r\n" for head, body in parts)
    return b"".join(bodies) + b"--cut--\r\n"


def archives() -> Seeds:
    """Zip files of labelled tiles and pictures."""
    tile = encoded(draw(size=(28, 28), text="7"), "PNG")
    listed = "file,label\na.png,7\nb/c.png,3\n"
    for name, packing in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        members = {
            "labels.csv": listed,
            "a.png": tile,
            "b/c.png": encoded(draw("L", (28, 28)), "PNG"),
        }
        yield f"{name}.zip", _zipped(members, packing)
    photo = encoded(draw("RGB"), "JPEG", quality=40)
    members = {"d/labels.csv": 'file,label\n"a.jpg","1\n7"\nb.png,none\n', "d/a.jpg": photo}
    yield "photos.zip", _zipped(members | {"d/b.png": tile}, zipfile.ZIP_DEFLATED)


def templates() -> Seeds:
    """Templates for the picture next to them."""
    yield (
        "shares.toml",
        (
            b'picture = "reference.png"\ntime = "%Y-%m-%d_%H%M"\n\n[regions.total]\n'
            b'box = [0.1, 0.2, 0.9, 0.8]\nkind = "counter"\ndigits = 5\ndecimals = 3\n'
            b'unit = "m\xc2\xb3"\n'
            b"monotone = false\nmost_per_hour = 2.5\n"
        ),
    )
    yield (
        "pixels.toml",
        (
            b'picture = "reference.png"\n[regions.a-1]\nbox = [1, 2, 30, 18]\n'
            b'expect = "range 0..99; ##"\n'
            b'[regions.b_2]\nbox = [0, 0, 9, 9]\nkind = "code"\nexpect = "one of 12, 15"\n'
        ),
    )


def recipes() -> Seeds:
    """Recipes of each kind."""
    yield (
        "tile.toml",
        (
            b'architecture = "small"\nepochs = 3\nwidths = [16, 32, 64]\nlearning_rate = 0.01\n'
            b"batch_size = 128\nseed = 1\n"
        ),
    )
    for kind in ("pages", "lines", "autoencoder"):
        yield f"{kind}.toml", f'architecture = "{kind}"\nsteps = 10\nseed = 0\n'.encode()


def _with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    chunk = struct.pack(">I", len(content)) + kind + content
    return png[:33] + chunk + struct.pack(">I", zlib.crc32(kind + content)) + png[33:]


def _two_samples() -> bytes:
    """A grey TIFF with transparency, which Pillow cannot write."""
    data = np.dstack([np.arange(64).reshape(8, 8)] * 2).astype(np.uint8).tobytes()
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 2, 278: 8, 279: len(data), 338: 2}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = b"II*\0" + struct.pack("<I", 8 + len(data))
    return start + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def _model(card: dict[str, Any], graph: bytes) -> bytes:
    return _json(card) + b"\n\0\n" + graph


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _request(target: str, kind: str, body: bytes) -> bytes:
    return f"POST {target}\nhost: localhost\ncontent-type: {kind}\n\n".encode() + body


def _zipped(members: dict[str, Any], packing: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, packing)
    return out.getvalue()


def main() -> None:
    """Writes all seeds."""
    for kind in (pictures, documents, bundles, requests, archives, templates, recipes):
        folder = FOLDER / kind.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in kind():
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
