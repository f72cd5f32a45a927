"""The endpoint for digits that tutorials write, to be compared with: FastAPI around ``predict``.

    python benchmarks/tutorial_server.py keras|torch PORT

The picture is shrunk to 28 x 28 and given to the convolutional network of the Keras example
"Simple MNIST convnet", inside the handler, one at a time. It is not trained: answers are wrong, and
take as long as right ones.
"""

import io
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

import numpy as np
import uvicorn
from fastapi import FastAPI, File, UploadFile
from PIL import Image


def main() -> None:
    kind, port = sys.argv[1:]
    predict = {"keras": keras_model, "torch": torch_model}[kind]()
    uvicorn.run(create_app(predict, kind), port=int(port), access_log=False, log_level="warning")


def create_app(predict: Callable[[Any], Any], kind: str) -> FastAPI:
    app = FastAPI()

    @app.get("/versions")
    async def versions() -> str:
        package = {"keras": "tensorflow-cpu"}.get(kind, kind)
        return f"{package} {version(package)}"

    @app.post("/predict")
    async def answer(file: Annotated[UploadFile, File()]) -> dict[str, Any]:
        picture = Image.open(io.BytesIO(await file.read())).convert("L").resize((28, 28))
        pixels = np.array(picture).astype("float32") / 255.0
        probabilities = predict(pixels.reshape(1, 28, 28, 1))[0]
        return {"digit": int(np.argmax(probabilities)), "confidence": float(np.max(probabilities))}

    return app


def keras_model() -> Callable[[Any], Any]:
    import keras  # noqa: PLC0415  (in an environment of its own)

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    return model.predict


def torch_model() -> Callable[[Any], Any]:
    import torch  # noqa: PLC0415  (heavy)
    from torch import nn  # noqa: PLC0415

    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10), nn.Softmax(1)),
    ).eval()

    def predict(pixels: Any) -> Any:
        with torch.no_grad():
            return model(torch.from_numpy(pixels.reshape(1, 1, 28, 28))).numpy()

    return predict


if __name__ == "__main__":
    main()
