// Writes a table as an Excel workbook: numbers as numbers, uncertain cells yellow.
// @ts-check
import { zip } from "./zip.js";

const DIGITS = 15; // precision of numbers in Excel; longer ones are written as text
const PACKAGE = "http://schemas.openxmlformats.org/package/2006";
const OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml";

/**
 * @param {{text: string, value: string|null, kind: string|null, unsure: boolean}[][]} rows
 * @returns {Uint8Array}
 */
export function workbook(rows) {
  const lines = rows.map((row, r) => `<row r="${r + 1}">${row.map((each, c) => cell(each, r, c)).join("")}</row>`);
  const parts = {
    "[Content_Types].xml": `<Types xmlns="${PACKAGE}/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/xl/workbook.xml" ContentType="${TYPE}.sheet.main+xml"/>
<Override PartName="/xl/sheet.xml" ContentType="${TYPE}.worksheet+xml"/>
<Override PartName="/xl/styles.xml" ContentType="${TYPE}.styles+xml"/></Types>`,
    "_rels/.rels": relations("officeDocument:xl/workbook.xml"),
    "xl/_rels/workbook.xml.rels": relations("worksheet:sheet.xml", "styles:styles.xml"),
    "xl/workbook.xml": `<workbook xmlns="${SHEET}" xmlns:r="${OFFICE}"><sheets>
<sheet name="table" sheetId="1" r:id="r1"/></sheets></workbook>`,
    "xl/sheet.xml": `<worksheet xmlns="${SHEET}"><sheetData>${lines.join("")}</sheetData></worksheet>`,
    "xl/styles.xml": `<styleSheet xmlns="${SHEET}"><fonts count="1"><font/></fonts>
<fills count="3"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>
<fill><patternFill patternType="solid"><fgColor rgb="FFFFE08A"/></patternFill></fill></fills>
<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>
<cellXfs count="2"><xf xfId="0"/><xf xfId="0" fillId="2" applyFill="1"/></cellXfs>
<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>`,
  };
  const files = Object.entries(parts).map(([name, text]) => ({
    name,
    content: new TextEncoder().encode(`<?xml version="1.0" encoding="UTF-8"?>\n${text}`),
  }));
  return zip(files);
}

/** @param {...string} parts `kind:file` each. */
function relations(...parts) {
  const links = parts.map((part, index) => {
    const [kind, target] = part.split(":");
    return `<Relationship Id="r${index + 1}" Type="${OFFICE}/${kind}" Target="${target}"/>`;
  });
  return `<Relationships xmlns="${PACKAGE}/relationships">${links.join("")}</Relationships>`;
}

function cell({ text, value, kind, unsure }, r, c) {
  const attributes = `r="${column(c)}${r + 1}"${unsure ? ' s="1"' : ""}`;
  const isNumber = /^-?\d+(\.\d+)?$/.test(value ?? "") && !/date|time|code|fraction/.test(kind ?? "");
  if (isNumber && value.replace(/\D/g, "").length <= DIGITS) return `<c ${attributes}><v>${value}</v></c>`;
  if (!text) return `<c ${attributes}/>`;
  return `<c ${attributes} t="inlineStr"><is><t xml:space="preserve">${escapeXml(text)}</t></is></c>`;
}

/** A, B … Z, AA … */
function column(index) {
  const last = String.fromCharCode(65 + (index % 26));
  return index < 26 ? last : column(Math.floor(index / 26) - 1) + last;
}

function escapeXml(text) {
  const names = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
  // Drops control characters, which XML does not allow.
  return [...text].filter((each) => each >= " " || each === "\n").join("").replace(/[&<>]/g, (each) => names[each]);
}
