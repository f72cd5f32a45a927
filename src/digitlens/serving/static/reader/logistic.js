// Logistic regression: weighs several signs of being right into one probability.

/** The probability that something is right; `weights` are a constant, then one for each sign. */
export function logistic([constant, ...slopes], signs) {
  const logit = slopes.reduce((total, slope, i) => total + slope * signs[i], 0) + constant;
  return 1 / (1 + Math.exp(-Math.min(Math.max(logit, -40), 40)));
}
