// What a reading consists of: digits and lines as plain values, and their form as JSON.
//
// A digit is {value, confidence, probabilities, box, status, reason, startsNumber}.

/** The reading as JSON-ready values: the same names and numbers as Reading.as_dict in Python. */
export function asDict(lines, width, height, card) {
  return {
    text: textOf(lines),
    numbers: lines.flatMap(numbersOn),
    lines: lines.map((line) => line.map(digitAsDict)),
    width,
    height,
    model: card.name,
    model_sha256: card.sha256,
  };
}

function digitAsDict(digit) {
  const values = {
    value: digit.value,
    confidence: rounded(digit.confidence),
    status: digit.status,
    reason: digit.reason,
    starts_number: digit.startsNumber,
    box: Array.from(digit.box),
    probabilities: Array.from(digit.probabilities, rounded),
  };
  return digit.tile ? { ...values, tile: base64(digit.tile) } : values;
}

function textOf(lines) {
  const texts = lines.map((line) => line.filter(isKept).map(({ value }) => value).join(''));
  return texts.filter(Boolean).join('\n');
}

function numbersOn(line) {
  const numbers = [''];
  for (const digit of line) {
    // Also of a rejected one: the gap is there nevertheless.
    if (digit.startsNumber) numbers.push('');
    if (isKept(digit)) numbers[numbers.length - 1] += digit.value;
  }
  return numbers.filter(Boolean);
}

function isKept({ status }) {
  return status !== 'rejected';
}

function rounded(share) {
  return Number(share.toFixed(6));
}

function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}
