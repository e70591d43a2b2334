"""
What people look at.

Needs: results/psnr.csv and the scores, pictures and histories behind it
Makes: results/figures/*
"""

FIGURES = []
