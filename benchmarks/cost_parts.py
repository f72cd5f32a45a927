"""The parts of a training step in words: what makes each slow, and what would help."""

# By part: its name for people, and what makes it slow and what would help.
PARTS = {
    "first_convolution": (
        "first convolution",
        "One channel in: few multiply-adds for each number that comes out, and the largest maps "
        "are written. A larger stride and fewer filters write less.",
    ),
    "convolutions": (
        "other convolutions, forward",
        "The narrower a layer, the worse it fills the arithmetic units of a core. Wider and fewer "
        "layers come closer; bfloat16 helps where the processor multiplies it.",
    ),
    "convolutions_backward": (
        "convolutions, backward",
        "Gradients of the filters and of what they were given are two more convolutions. Layers "
        "that are not trained, and no padding, save them.",
    ),
    "normalisation": (
        "batch normalisation and ReLU, both ways",
        "Each number is read and written several times for a few additions. Fusing both with the "
        "convolution before them would leave one pass.",
    ),
    "dense": (
        "dense layer and all else in the network",
        "Bytes become numbers and gradients are added up, in many small operators. Larger steps "
        "and fused operators have fewer.",
    ),
    "loss": (
        "loss",
        "A table of ten numbers a tile goes through a chain of small operators. Larger steps, or "
        "one fused operator, would help.",
    ),
    "optimiser": (
        "optimiser",
        "Few weights, and many small operators for them. Fused and foreach operators, or larger "
        "steps, have fewer calls.",
    ),
    "augmentation": (
        "augmentation",
        "Every pixel is looked up at a computed place and blended of four, once for each tile. A "
        "repeated epoch, or bytes instead of float32, moves less.",
    ),
    "validation": (
        "validation",
        "The network forward on tiles that are kept apart, in large batches. Fewer of them, or "
        "fewer validations, would help; the protocol asks for them.",
    ),
    "rest": (
        "choosing tiles, averages and sums",
        "Tiles are gathered in the order of the epoch, and sums are kept. Gathering once an epoch "
        "instead of each step would help.",
    ),
}
