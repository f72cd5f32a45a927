"""The table view: cells are edited by keyboard, doubtful ones marked, and tables saved."""

import csv
import io
import zipfile

import pytest

TABLE = "**/v1/table*"


def cell(text, value, status="number", reason="", others=()):
    alternatives = [{"text": each, "value": each, "probability": 0.2} for each in others]
    return {
        **{"text": text, "value": value, "kind": "decimal" if value else None, "confidence": 0.7},
        **{"status": status, "reason": reason, "alternatives": alternatives},
        "quad": [[10, 10], [50, 10], [50, 40], [10, 40]],
    }


ROWS = [
    [cell("Price", None, "words"), cell("", None, "empty")],
    [cell("1,50", "1.50"), cell("-7", "-7", "unsure", "7 is 60 % sure", ["-1"])],
]


@pytest.fixture
def table(open_page, examples):
    """A page with the table view open; the server's answers are faked."""
    page = open_page()
    queries = []

    def answer(route):
        queries.append(route.request.url.partition("?")[2])
        if "rules=sudoku" in queries[-1]:
            problem = {"type": "urn:problem-type:digitlens:picture", "detail": "found no table"}
            route.fulfill(status=422, json=problem)
        else:
            broken = "rules=total" in queries[-1]
            result = {"rows": ROWS, "kept": not broken, "rule": "total" if broken else ""}
            route.fulfill(json={"tables": [result]})

    page.route(TABLE, answer)
    page.set_input_files("#file", examples / "note.jpg")
    page.click("#view-table")
    page.wait_for_selector("#cells input")
    page.queries = queries
    return page


def saved(page, button):
    with page.expect_download() as download:
        page.click(button)
    return download.value.path().read_bytes()


def test_doubtful_cells_are_found_edited_and_saved_as_csv_and_xlsx(table):
    page = table
    assert page.inner_text("#table-verdict") == "2 rows, 2 columns. 1 cell is uncertain."
    page.click("#next-doubtful")
    note = page.locator("#cell-note")
    assert note.inner_text() == "Row 2, column 2: 7 is 60 % sure"
    assert page.locator("#marks .box.chosen").count() == 1
    page.get_by_role("group", name="Alternatives for this cell").get_by_text("-1").click()
    assert page.inner_text("#table-verdict").endswith("All sure.")
    page.keyboard.press("Escape")  # the text as read
    assert page.input_value("#cells .unsure") == "-7"
    page.keyboard.press("ArrowUp")
    page.keyboard.type("=A<1")
    page.keyboard.press("ArrowLeft")  # within the text
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.ariaLabel") == "Row 2, column 1"
    rows = list(csv.reader(saved(page, "#table-csv").decode().splitlines()))
    assert rows == [["Price", "'=A<1"], ["1,50", "-7"]]
    with zipfile.ZipFile(io.BytesIO(saved(page, "#table-xlsx"))) as book:
        assert book.testzip() is None
    openpyxl = pytest.importorskip("openpyxl")
    sheet = openpyxl.load_workbook(io.BytesIO(saved(page, "#table-xlsx"))).active
    assert [list(row) for row in sheet.values] == [["Price", "=A<1"], [1.5, -7]]
    assert sheet["B2"].fill.fgColor.rgb == "FFFFE08A"
    assert sheet["A2"].fill.fill_type is None


def test_violated_rules_and_missing_tables_are_reported(table):
    page = table
    page.expected = ["status of 422"]
    page.select_option("#rules", "total")
    page.get_by_text("A column does not add up to its last row").wait_for()
    page.select_option("#rules", "sudoku")
    page.locator("#table-verdict.rejected").get_by_text("found no table").wait_for()
    assert page.is_hidden("#table-save")
    assert page.queries == ["", "rules=total", "rules=sudoku"]
    page.click("#view-numbers")
    assert page.locator("#marks .label").count() >= 4
