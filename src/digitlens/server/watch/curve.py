"""A curve that grows without end in bounded memory: the longer it is, the more steps a point is."""

from __future__ import annotations

MOST = 2000  # points: more than a screen has columns

Values = tuple[float, ...]


class Curve:
    """Points of equally many steps each; when there are too many, two become one.

    Attributes:
        points: Each with the number of the news that completed it, and its values: the number of
            its last step, and means.
    """

    def __init__(self, most: int = MOST) -> None:
        self.points: list[tuple[int, Values]] = []
        self._most = most
        self._stride = 1
        self._waiting: list[Values] = []  # fewer than make a point

    def add(self, serial: int, values: Values) -> None:
        """Takes up a step: its number, then what is averaged."""
        self._waiting.append(values)
        if len(self._waiting) == self._stride:
            self.points.append((serial, _mean(self._waiting)))
            self._waiting = []
        if len(self.points) == 2 * self._most:
            self.points = [
                (later[0], _mean([earlier[1], later[1]]))
                for earlier, later in zip(self.points[::2], self.points[1::2], strict=True)
            ]
            self._stride *= 2

    def since(self, serial: int) -> list[Values]:
        """The points that were completed by later news than that."""
        return [values for number, values in self.points if number > serial]


def _mean(values: list[Values]) -> Values:
    means = (sum(column) / len(values) for column in list(zip(*values, strict=True))[1:])
    return values[-1][0], *(_short(mean) for mean in means)


def _short(value: float) -> float:
    """Five digits of a number; JSON knows no NaN or infinity, which a curve shows as far above."""
    return float(f"{value:.5g}") if abs(value) < float("inf") else 1e9
