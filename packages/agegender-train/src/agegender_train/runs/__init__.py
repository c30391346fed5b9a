"""A training's folder: its settings, its files, tables of runs and of folds."""
