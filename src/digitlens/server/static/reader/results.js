// What a reading consists of: digits and lines as plain values, and their form as JSON.
//
// A digit is {value, confidence, probabilities, box, status, reason, startsNumber, tile}; a
// character {char, confidence, box}.

/** The reading as JSON-ready values: the same names and numbers as Reading.as_dict in Python. */
export function asDict(
  { lines, characters, numbers, constrained }, [width, height], card, tiles = false,
) {
  const kept = lines.map((line) => line.filter(({ status }) => status !== 'rejected'));
  return {
    text: textOf(
      characters.length
        ? characters.map((line) => line.map(({ char }) => char).join(''))
        : lines.map((line) => numbersIn(line).join(' ')),
    ),
    digits_only: textOf(kept.map((line) => line.map(({ value }) => value).join(''))),
    numbers,
    numbers_digits: lines.flatMap(numbersIn),
    lines: lines.map((line) => line.map((digit) => digitAsDict(digit, tiles))),
    characters: characters.map((line) => line.map(({ char, confidence, box }) => ({
      char, confidence: rounded(confidence), box,
    }))),
    width,
    height,
    model: card.name,
    model_sha256: card.sha256,
    ...(constrained && { constrained }),
  };
}

function digitAsDict(digit, tiles) {
  const values = {
    value: digit.value,
    confidence: rounded(digit.confidence),
    status: digit.status,
    reason: digit.reason,
    starts_number: digit.startsNumber,
    box: Array.from(digit.box),
    probabilities: Array.from(digit.probabilities, rounded),
  };
  return tiles ? { ...values, tile: base64(digit.tile ?? []) } : values;
}

function textOf(lines) {
  return lines.filter(Boolean).join('\n');
}

function numbersIn(line) {
  const numbers = [''];
  for (const digit of line) {
    // Also of a rejected one: the gap is there nevertheless.
    if (digit.startsNumber) numbers.push('');
    if (digit.status !== 'rejected') numbers[numbers.length - 1] += digit.value;
  }
  return numbers.filter(Boolean);
}

function rounded(share) {
  return Number(share.toFixed(6));
}

function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}
