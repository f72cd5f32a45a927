// Linear algebra of two or three unknowns: lengths, equations, the main axis of a symmetric matrix.

import { argmax, range } from './arrays.js';

const SWEEPS = 12; // of Jacobi's method; three unknowns need five

export function length(vector) {
  return Math.hypot(...vector);
}

/** Solves matrix x = wanted by Gauss's elimination with pivots. */
export function solve(matrix, wanted) {
  const size = wanted.length;
  const rows = matrix.map((row, i) => [...row, wanted[i]]);
  for (let k = 0; k < size; k++) {
    const pivot = k + argmax(rows.slice(k).map((row) => Math.abs(row[k])));
    [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
    for (let i = k + 1; i < size; i++) {
      const factor = rows[i][k] / rows[k][k];
      for (let j = k; j <= size; j++) rows[i][j] -= factor * rows[k][j];
    }
  }
  const x = new Array(size).fill(0);
  for (let k = size - 1; k >= 0; k--) {
    const known = range(size).reduce((total, j) => total + (j > k ? rows[k][j] * x[j] : 0), 0);
    x[k] = (rows[k][size] - known) / rows[k][k];
  }
  return x;
}

/** The eigenvector of a symmetric matrix with the largest eigenvalue, by Jacobi's rotations. */
export function eigen(matrix) {
  const size = matrix.length;
  const a = matrix.map((row) => [...row]);
  const vectors = range(size).map((i) => range(size).map((j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) if (a[p][q] !== 0) rotate(a, vectors, p, q);
    }
  }
  const best = argmax(a.map((row, i) => row[i]));
  return vectors.map((row) => row[best]);
}

function rotate(a, vectors, p, q) {
  const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  const turned = (one, other) => [c * one - s * other, s * one + c * other];
  for (const row of [...a, ...vectors]) [row[p], row[q]] = turned(row[p], row[q]);
  a.forEach((_, k) => ([a[p][k], a[q][k]] = turned(a[p][k], a[q][k])));
}
