"""Figures, drawings and HTML pages of readings, trainings and reports."""
