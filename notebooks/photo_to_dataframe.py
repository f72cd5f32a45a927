# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From a photo of a table to a DataFrame
#
# A form has been filled in by hand with hours and photographed. This notebook turns the photo into
# a `pandas.DataFrame`, with a list of the cells that a person should check. The photo is generated
# below from MNIST digits, so that the correct values are known.
#
# You need `pip install 'digitlens[notebook]'`. It takes half a minute.
#
# 1. [A photo](#1.-A-photo)
# 2. [Find the cells](#2.-Find-the-cells)
# 3. [Read the cells](#3.-Read-the-cells)
# 4. [Make a DataFrame](#4.-Make-a-DataFrame)
# 5. [Cells to check](#5.-Cells-to-check)
# 6. [Write a spreadsheet](#6.-Write-a-spreadsheet)

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas
from openpyxl import load_workbook
from PIL import Image, ImageDraw, ImageFont

from digitlens.datasets.mnist import load_mnist
from digitlens.imaging.ruling import find_grid, straighten, without_rules
from digitlens.reading.reader import DigitReader
from digitlens.tabular import write_table
from digitlens.visualization.notebook import show_page

# %% [markdown]
# ## 1. A photo
#
# The form has a printed header and five columns; the rest is written with MNIST test digits, which
# no digitlens network was trained on. Some cells are empty.

# %%
HEAD = ["Week", "Mon", "Tue", "Wed", "Sum"]
HOURS = [[31, 8, 6, 7, 21], [32, 9, None, 5, 14], [33, 8, 8, 10, 26], [34, None, 7, 12, 19]]
WIDE, HIGH, MARGIN = 150, 72, 50

mnist = load_mnist().test
random = np.random.default_rng(7)
size = len(HEAD) * WIDE + 2 * MARGIN, (len(HOURS) + 1) * HIGH + 2 * MARGIN
form = Image.new("L", size, 235)
pen, font = ImageDraw.Draw(form), ImageFont.load_default(28)


def corner(row, column):
    """Where a cell begins, in pixels of the form."""
    return MARGIN + column * WIDE, MARGIN + row * HIGH


def write(number, row, column):
    """Writes a number into a cell, digit by digit, each by somebody else."""
    x, y = corner(row, column)
    for place, digit in enumerate(str(number)):
        tile = mnist.tiles[random.choice(np.flatnonzero(mnist.labels == int(digit)))]
        ink = Image.fromarray(tile).resize((56, 56), Image.Resampling.BICUBIC)
        lift = int(random.normal(0, 2))
        form.paste(40, (x + 30 + 38 * place, y + 8 + lift), ink)


for row in range(len(HOURS) + 1):
    for column, name in enumerate(HEAD):
        x, y = corner(row, column)
        pen.rectangle((x, y, x + WIDE, y + HIGH), outline=90, width=2)
        if row == 0:
            pen.text((x + WIDE / 2, y + HIGH / 2), name, 30, font, anchor="mm")
        elif HOURS[row - 1][column] is not None:
            write(HOURS[row - 1][column], row, column)

# %% [markdown]
# The camera sees it from the side, in uneven light, with some noise:

# %%
corners = (-70, -40, 30, 500, 830, 470, 900, -15)
photo = form.transform(
    (960, 520), Image.Transform.QUAD, corners, Image.Resampling.BICUBIC, fillcolor=120
)
light = np.linspace(1, 0.55, photo.width) * np.linspace(0.9, 1, photo.height)[:, None]
photo = np.clip(np.asarray(photo) * light + random.normal(0, 4, light.shape), 0, 255)
photo = photo.astype(np.uint8)
show_page(photo, width=640)

# %% [markdown]
# ## 2. Find the cells
#
# The ruled lines of a table form one connected shape. Its corners determine the perspective; after
# straightening, the lines are long strokes from edge to edge. Each crossing is located separately,
# so a curved page does no harm.

# %%
grid = find_grid(photo)
seen = Image.fromarray(photo).convert("RGB")
pen = ImageDraw.Draw(seen)
for x, y in grid.nodes.reshape(-1, 2):
    pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=(220, 60, 40))
print("rows and columns:", *grid.shape)
show_page(np.asarray(seen), width=640)

# %% [markdown]
# Each cell is transformed to an upright rectangle, and the ruled lines are painted over so that
# none is read as a 1. A stroke that crosses a line stays intact.

# %%
straight, upright = straighten(photo, grid)
show_page(without_rules(straight, upright), width=640)

# %% [markdown]
# ## 3. Read the cells
#
# `read_table` does all of this and reads each line of ink in each cell. A cell without ink is
# reported as empty.

# %%
reader = DigitReader()
table = reader.read_table(photo)
print(table.to_csv())

# %% [markdown]
# ## 4. Make a DataFrame
#
# The first row has words and no numbers, so it names the columns. Values are `Decimal`, `date` or
# `time`, exactly as written. For arithmetic, pandas works better with its own number types:

# %%
frame = pandas.DataFrame(table.records()).apply(pandas.to_numeric).set_index("Week")
print(frame)

# %% [markdown]
# The table allows a consistency check: do the days add up to the sum?

# %%
days = frame[["Mon", "Tue", "Wed"]].sum(axis=1)
print((days == frame["Sum"]).rename("adds up"))

# %% [markdown]
# The written values are known, so we can count the errors:

# %%
right = [
    (cell.value == number) if number is not None else cell.status == "empty"
    for cells, numbers in zip(table.rows[1:], HOURS, strict=True)
    for cell, number in zip(cells, numbers, strict=True)
]
print(f"{sum(right)} of {len(right)} cells are right")

# %% [markdown]
# ## 5. Cells to check
#
# Some cells are less certain than others. These have the lowest confidence, with alternatives:

# %%
numbers = [(r, c) for r, row in enumerate(table.rows) for c, cell in enumerate(row) if cell.kind]
for r, c in sorted(numbers, key=lambda place: table.rows[place[0]][place[1]].confidence)[:3]:
    cell = table.rows[r][c]
    others = ", ".join(f"{each.text} ({each.probability:.1%})" for each in cell.alternatives[:2])
    print(f"row {r}, column {c}: {cell.text}, {cell.confidence:.1%}, {cell.status}; or {others}")
print("doubtful:", table.unsure or "none")

# %% [markdown]
# ## 6. Write a spreadsheet
#
# In the Excel workbook, numbers are stored as numbers, and doubtful cells are yellow, with a
# comment that gives the reason. `digitlens table PHOTO --out hours.xlsx` does the same on the
# command line; the [how-to](../docs/how-to/table.md) has more.

# %%
with TemporaryDirectory() as folder:
    path = Path(folder) / "hours.xlsx"
    write_table(path, table)
    sheet = load_workbook(path).active
    for row in sheet.iter_rows(values_only=True):
        print(row)
